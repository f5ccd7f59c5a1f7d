"""The JavaScript client: its own tests, its size, its types, what it never does, and a real node followed from Node."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import playwright
import pytest
from tests.support.node import InProcessNode
from tests.support.programs import PATIENCE, output

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "clients" / "js"
PAGES = ROOT / "src" / "laurels" / "web" / "static"
LIMIT = 6_000
"""Bytes of laurels.js as it is served, compressed: comments and all."""

WATCH = """
import { Laurels } from "%s";
const laurels = new Laurels(process.argv[2]);
laurels.board("points", { size: 3 }, ({ type, board }) => {
  if (type === "board") console.log(JSON.stringify(board.rows.map((row) => [row.username, String(row.score)])));
});
"""

PLAY = """
import { Laurels } from "%s";
const laurels = new Laurels(process.argv[2], { token: process.argv[3] });
const { ticket, challenge } = await laurels.start("race");
const refused = await laurels.complete("race", { identifier: "bare" }).catch(({ code }) => code);
const receipt = await laurels.complete("race", { identifier: "r1", ticket });
const twice = await laurels.complete("race", { identifier: "r2", ticket }).catch(({ code }) => code);
console.log(JSON.stringify([challenge.length > 0, refused, receipt.status, String(receipt.new_score), twice]));
"""


def node_command() -> list[str]:
    """Node of this machine, else the one that came with Playwright; Node 20 with its WebSocket switched on."""
    node = shutil.which("node") or str(Path(playwright.__file__).parent / "driver" / "node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return [node, "--experimental-websocket"] if version.startswith("v20.") else [node]


def exports(file: Path) -> set[str]:
    return set(re.findall(r"^export (?:class|function|const) (\w+)", file.read_text(), re.MULTILINE))


def test_the_state_machine_passes_its_own_tests() -> None:
    """clients/js/tests, in Node: what is held equals what was sent, whatever was lost on the way."""
    files = [str(file) for file in (CLIENTS / "tests").glob("*.test.js")]
    ran = subprocess.run(
        [*node_command(), "--test", *files], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3_000:]


def test_the_client_is_small() -> None:
    """The promise of its README, as served: below 6 kB compressed, without a build step."""
    assert len(gzip.compress((CLIENTS / "laurels.js").read_bytes(), 9)) < LIMIT
    element = list(CLIENTS.glob("laurels*.js"))
    assert sum(len(gzip.compress(file.read_bytes(), 9)) for file in element) < 19_000


def test_the_types_name_what_the_module_gives() -> None:
    """Every export of the module has its type, and no type promises what is not there."""
    assert exports(CLIENTS / "laurels.js") == exports(CLIENTS / "laurels.d.ts")


@pytest.mark.parametrize("folder", [CLIENTS, PAGES], ids=["clients", "pages"])
def test_nothing_is_ever_built_from_text(folder: Path) -> None:
    """No script turns a name into markup: the ways to do so are in none of them, nor are inline handlers or styles."""
    scripts = "".join(file.read_text() for file in folder.glob("*.js"))
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "new Function"):
        assert way not in scripts
    pages = "".join(file.read_text() for file in folder.glob("*.html"))
    assert not re.search(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=", pages)


def test_a_wheel_holds_the_clients(tmp_path: Path) -> None:
    """The node serves the clients: the files that the source tree links to are in what is installed."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for file in CLIENTS.glob("laurels*.js"):
            assert archive.read(f"laurels/web/static/{file.name}") == file.read_bytes()


async def test_node_follows_a_board(node: InProcessNode, tmp_path: Path) -> None:
    """Outside of a browser too: what Node prints last is what the board says."""
    script = tmp_path / "watch.mjs"
    script.write_text(WATCH % (CLIENTS / "laurels.js"))
    process = await asyncio.create_subprocess_exec(
        *node_command(), str(script), node.url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert json.loads(await process.stdout.readline()) == []
            token = await node.token("ada")
            for n in range(3):
                await node.complete(token, f"a{n}")
            while json.loads(await process.stdout.readline()) != [["ada", "30"]]:
                pass
    finally:
        process.kill()
        await process.wait()


async def test_a_game_starts_and_completes_with_a_ticket(arena: InProcessNode, tmp_path: Path) -> None:
    """An action that asks for a ticket counts with one, once, and not without."""
    script = tmp_path / "play.mjs"
    script.write_text(PLAY % (CLIENTS / "laurels.js"))
    command = [*node_command(), str(script), arena.url, await arena.token("ada")]
    assert json.loads(await output(*command)) == [True, "ticket_required", "awarded", "30", "ticket_used"]
