"""Profile one complete: samples of a loaded node's stacks, attributed to parts of the program.

    python -m bench.profile                       the table
    python -m bench.profile --flame FILE.svg      and a flame graph
    python -m bench.profile --markdown            the table for docs/performance.md

py-spy samples the node, saturated by 64 connections, some hundred times a second, native frames included. A sample
belongs to the innermost frame that WORK knows, otherwise to the loop; waiting threads are left out. Shares become
microseconds through the CPU time of the process; PostgreSQL's time is that of its processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import aiohttp
import psutil
import uvloop
from cyclopts import App, Parameter

from .load import Plan, ask
from .questions.asked import tokens_file
from .stage import Node, Stage, staged

WORK = (
    ("token", ("laurels/web/auth/", "joserfc/")),
    ("limits", ("laurels/web/limits/",)),
    ("decode", ("laurels/web/http/decode", "laurels/web/http/bodies", "laurels/app/submissions", "submission_of")),
    ("rules", ("laurels/domain/",)),
    ("SQL", ("laurels/ledger/", "asyncpg/", "pgproto.c", "(protocol.c")),
    ("index", ("laurels/ranking/", "sortedcontainers/")),
    ("live", ("laurels/live/",)),
    ("reply", ("laurels/web/api/", "laurels/web/http/responses", "laurels/web/pipeline/call.py", "json_reply")),
    ("metrics and logs", ("laurels/telemetry", "prometheus_client/", "structlog/")),
    ("HTTP", ("aiohttp/", "laurels/web/", "yarl/", "multidict/", "(_http_", "(_helpers_c")),
)
"""Name -> substrings of a frame that identify it, tried in this order."""
LOOP = "event loop"
POSTGRES = "PostgreSQL (its processes)"
WAITS = ("epoll_pwait", "epoll_wait")
POOLED, AT_WORK = "_worker (concurrent/futures/thread.py", "run (concurrent/futures/thread.py"
"""A pool thread waits if it is in the first and not in the second."""
CONNECTIONS = 64
PLAYERS = 1_000
"""Few enough that all appear in the warm-up: a token is verified once, then cached."""
WARM_UP = 4.0
START = 1.0
SPARE = 2.0
"""Seconds of load before the first sample, and after the last."""

app = App(name="python -m bench.profile", help="Profile one complete.")

_TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*')
"""py-spy writes its command line there, including paths."""


@dataclass(frozen=True, slots=True)
class Profile:
    """CPU time per action in µs, by part of the program."""

    actions_per_second: float
    parts: dict[str, float]


@app.default
def profile(
    *,
    seconds: float = 15.0,
    rate: int = 200,
    flame: Path | None = None,
    markdown: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Load a new node and sample it.

    Parameters
    ----------
    seconds
        Length of sampling.
    rate
        Samples per second.
    flame
        File for a flame graph, by function.
    markdown
        Print Markdown.
    """
    with staged() as stage:
        found = uvloop.run(_profile(stage, seconds, rate, flame))
    if flame is not None:
        flame.write_text(_TITLE.sub(r"\1Completes over HTTP, by function", flame.read_text()))
    print("\n".join(_lines(found, markdown=markdown)))
    return 0


async def _profile(stage: Stage, seconds: float, rate: int, flame: Path | None) -> Profile:
    async with stage.node(players=PLAYERS) as node:
        tokens = tokens_file(stage.folder, node)
        await ask(node.url, _plan("w", tokens), connections=CONNECTIONS, seconds=WARM_UP)
        if flame is not None:
            async with _loaded(node, _plan("f", tokens), seconds):
                await _record(node, seconds, rate, "flamegraph", flame)
        return await _sampled(node, stage.folder, tokens, seconds, rate)


async def _sampled(node: Node, folder: Path, tokens: str, seconds: float, rate: int) -> Profile:
    raw = folder / "samples"
    async with _loaded(node, _plan("p", tokens), seconds):
        server, actions = psutil.Process(node.pid), await committed(node)
        used, database = _cpu([server]), _cpu(_postgres(node))
        await _record(node, seconds, rate, "raw", raw)
        used, database = _cpu([server]) - used, _cpu(_postgres(node)) - database
        done = await committed(node) - actions
    counted = attribute(raw.read_text().splitlines())
    total = counted.total()
    names = [*(name for name, _ in WORK), LOOP]
    parts = {name: counted[name] / total * used / done * 1e6 for name in names}
    return Profile(done / seconds, {**parts, POSTGRES: database / done * 1e6})


def attribute(stacks: Iterable[str]) -> Counter[str]:
    """Return samples by part of the program. A stack is `frame;frame;… count`, the outermost first."""
    counted: Counter[str] = Counter()
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        inward = frames.split(";")
        if not _waits(frames, inward[-1]):
            counted[_at_work(reversed(inward))] += int(count)
    return counted


def _waits(stack: str, innermost: str) -> bool:
    return any(place in innermost for place in WAITS) or (POOLED in stack and AT_WORK not in stack)


def _at_work(frames: Iterable[str]) -> str:
    for frame in frames:
        for name, places in WORK:
            if any(place in frame for place in places):
                return name
    return LOOP


@contextlib.asynccontextmanager
async def _loaded(node: Node, plan: Plan, seconds: float) -> AsyncIterator[None]:
    """Load the node during the block, and for a while before and after it."""
    asking = asyncio.create_task(ask(node.url, plan, connections=CONNECTIONS, seconds=seconds + START + SPARE))
    await asyncio.sleep(START)
    yield
    await asking


async def _record(node: Node, seconds: float, rate: int, form: str, file: Path) -> None:
    """Record stacks with py-spy. Raises RuntimeError if it lacks the permission."""
    arguments = ["--pid", str(node.pid), "--duration", str(max(1, round(seconds))), "--rate", str(rate)]
    arguments += ["--format", form, "--output", str(file)]
    arguments += ["--native"] if form == "raw" else ["--function"]
    spy = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("py-spy")), "record", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await spy.communicate()
    if spy.returncode:
        raise RuntimeError(f"py-spy: {output.decode(errors='replace')[-500:]}")


def _plan(prefix: str, tokens: str) -> Plan:
    return Plan("POST", "/api/actions/complete", 1, f"{prefix}-", tokens)


async def committed(node: Node) -> float:
    """Return the number of actions so far, from /metrics."""
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as reply:
        lines = (await reply.text()).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("laurels_batch_actions_sum")))


def _postgres(node: Node) -> list[psutil.Process]:
    """Return the postmaster of the stage and all its children."""
    folder = parse_qs(urlsplit(node.database_url).query)["host"][0]
    pid = int((Path(folder) / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children()]


def _cpu(processes: Iterable[psutil.Process]) -> float:
    """Return the seconds of CPU time so far, user and system."""
    times = [process.cpu_times() for process in processes]
    return float(sum(told.user + told.system for told in times))


def _lines(found: Profile, *, markdown: bool) -> list[str]:
    total = sum(found.parts.values())
    rows = [(name, f"{cost:.1f}", f"{cost / total:.0%}") for name, cost in found.parts.items()]
    rows.append(("all", f"{total:.1f}", f"at {found.actions_per_second:,.0f} actions/s"))
    if markdown:
        return [
            "| part | µs per action | share |",
            "| --- | ---: | ---: |",
            *(f"| {a} | {b} | {c} |" for a, b, c in rows),
        ]
    return [f"{name:<28}{cost:>10} µs  {share}" for name, cost, share in rows]


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
