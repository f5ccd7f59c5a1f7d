"""The snippets in the READMEs of the clients, and their examples, run as they stand against a node."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.clients.test_js_client import node_command
from tests.support.node import InProcessNode
from tests.support.polling import eventually
from tests.support.programs import PATIENCE, output

from laurels_client import Action

CLIENTS = Path(__file__).parents[2] / "clients"
ADDRESS = "https://laurels.example.org"
JS_BEFORE = """
const shown = [];
const draw = (rows) => shown.push(rows);
const fetchTokenFromMyBackend = async () => process.argv[2];
const play = async (challenge) => ({ accuracy: challenge.length > 0 ? 0.9 : 0 });
"""
JS_AFTER = """
while (shown.at(-1)?.[0]?.score !== 40n) await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify([receipt.status, shown.at(-1)[0].username]));
process.exit(0);
"""


def blocks(readme: Path, language: str) -> list[str]:
    """The code of one language, in order, speaking to the node of the test."""
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(), re.DOTALL)


def compiled(source: str, url: str) -> Any:
    return compile(source.replace(ADDRESS, url), "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def run(source: str, url: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run a block, awaiting what it awaits; the names it leaves."""
    running = eval(compiled(source, url), names)  # noqa: S307  our own README
    if inspect.isawaitable(running):
        await running
    return names


async def test_the_python_readme_runs(arena: InProcessNode, api_key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block, in order: what it completes is on the board once, and the live part shows it."""
    token = await arena.token("ada")
    whole, for_others, with_ticket, blocking, in_parts = blocks(CLIENTS / "python" / "README.md", "python")
    names: dict[str, Any] = {"get_token": lambda: token, "enqueue_again": pytest.fail}
    watching = asyncio.create_task(run(whole, arena.url, names))

    async def printed() -> str:
        return capsys.readouterr().out

    await eventually(printed, lambda out: "(1, 'ada', 10010)" in out, within=20)
    async with names["Laurels"](arena.url, api_key) as key:
        order = SimpleNamespace(id=1042)
        await run(for_others, arena.url, {"laurels": key, "User": names["User"], "order": order})
    await eventually(printed, lambda out: "(1, 'ada', 10060)" in out, within=20)
    async with names["Laurels"](arena.url, token) as own:
        await run(with_ticket, arena.url, {"laurels": own, "play": played})
    await eventually(printed, lambda out: "(1, 'ada', 10090)" in out, within=20)
    watching.cancel()
    assert (await asyncio.to_thread(run_blocking, blocking + in_parts, arena.url, token)) == 10_130


async def played(challenge: str) -> SimpleNamespace:
    return SimpleNamespace(accuracy=0.9 if challenge else 0.0)


def run_blocking(source: str, url: str, token: str) -> int:
    """The score when the block has run."""
    actions = [Action("lesson", f"of-a-batch-{n}") for n in range(3)]
    names: dict[str, Any] = {"get_token": lambda: token, "actions": actions, "enqueue_again": pytest.fail}
    exec(compiled(source, url), names)  # noqa: S102  our own README
    with names["laurels"] as laurels:
        return int(laurels.top().rows[0].score)


async def test_the_javascript_readme_runs(arena: InProcessNode, tmp_path: Path) -> None:
    """Its blocks in Node: the board is drawn, an action and a race are on it."""
    example = "\n".join(blocks(CLIENTS / "js" / "README.md", "js"))
    module = f'"{ADDRESS}/static/laurels.js"'
    assert module in example
    script = tmp_path / "readme.mjs"
    example = example.replace(module, json.dumps(str(CLIENTS / "js" / "laurels.js"))).replace(ADDRESS, arena.url)
    script.write_text(JS_BEFORE + example + JS_AFTER)
    command = [*node_command(), str(script), await arena.token("ada")]
    out = await output(*command)
    assert json.loads(out.splitlines()[-1]) == ["awarded", "ada"]


async def test_the_flask_back_end_answers(node: InProcessNode, api_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points for the user it vouches for, once; a refusal is a 409 with its code."""
    await node.register("ada")
    monkeypatch.setenv("LAURELS_URL", node.url)
    monkeypatch.setenv("LAURELS_KEY", api_key)
    told = await asyncio.to_thread(ask_flask)
    assert told[0] == (200, {"earned": 10, "rank": 1, "score": 10})
    assert told[1] == told[0]
    assert (told[2][0], told[2][1]["error"]) == (409, "user_unknown")


def ask_flask() -> list[tuple[int, Any]]:
    example = runpy.run_path(str(CLIENTS / "python" / "examples" / "flask_app.py"))
    browser = example["app"].test_client()
    users = ("ada", "ada", "stranger")
    told = [browser.post("/lessons/l17/finish", headers={"X-User": user}) for user in users]
    example["laurels"].close()
    return [(reply.status_code, reply.get_json()) for reply in told]


async def test_a_board_in_a_terminal(node: InProcessNode) -> None:
    """examples/watch.py prints the board, and again when it changes."""
    example = str(CLIENTS / "python" / "examples" / "watch.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", example, node.url, "points", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            await node.complete(await node.token("ada"), "a1")
            while (await process.stdout.readline()).split() != [b"1", b"ada", b"10"]:
                pass
    finally:
        process.kill()
        await process.wait()
