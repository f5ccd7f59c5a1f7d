"""Load generators. The generator must not be the bottleneck, so its own ceiling is a row of the table.

`wrk` where it is installed; otherwise `raw`, a generator in Python in a separate process, which takes about
as much CPU as the server. `open_loop` sends on a timetable, for latencies; `stream` sends over one live socket.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

SCRIPT = Path(__file__).with_name("wrk.lua")
PATIENCE = 30.0
"""Seconds that a generator may take beyond its planned time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests to send. `actions` per request; 0 sends no body. `tokens_file` has one token per line, used in turn.
    With `paths_file` the paths are its lines, in turn, and no token is sent.

    `prefix` begins every action identifier and must differ between runs.
    """

    method: str
    path: str
    actions: int = 0
    prefix: str = ""
    tokens_file: str = ""
    headers: list[str] = field(default_factory=list)
    paths_file: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """The result. `errors` counts broken connections and statuses above 399; p50 and p99 in ms."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class LoadFailed(Exception):
    """The generator failed, or a request was not answered successfully."""


def generator() -> str:
    """Return the name of the generator that will be used."""
    return "wrk" if shutil.which("wrk") else "the generator in Python"


async def ask(url: str, plan: Plan, *, connections: int, seconds: float) -> Load:
    """Load `url` for so many seconds. Raises LoadFailed if any request failed."""
    if shutil.which("wrk"):
        command = _wrk(url, plan, connections, seconds)
    else:
        command = _python("raw", url, str(connections), str(seconds), json.dumps(asdict(plan)))
    return await _answered(plan, command, seconds)


async def ask_on_time(url: str, plan: Plan, *, connections: int, seconds: float, rate: float) -> Load:
    """Load `url` with `rate` requests per second regardless of answers; latencies count from when a request was due.

    Raises LoadFailed if any request failed.
    """
    command = _python("open_loop", url, str(connections), str(seconds), str(rate), json.dumps(asdict(plan)))
    return await _answered(plan, command, seconds)


async def stream(url: str, token: str, prefix: str, *, seconds: float) -> Load:
    """Send actions over one live socket for so many seconds. Raises LoadFailed if any was not awarded."""
    place = urlsplit(url)
    command = _python("stream", str(place.hostname), str(place.port), token, str(seconds), prefix)
    return await _answered(Plan("GET", "/api/live"), command, seconds)


async def _answered(plan: Plan, command: list[str], seconds: float) -> Load:
    load = await _run(command, seconds + PATIENCE)
    if load.errors or not load.requests:
        raise LoadFailed(f"{load.errors} of {load.requests} requests to {plan.path} failed")
    return load


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"bench.load.{module}", *arguments]


def _wrk(url: str, plan: Plan, connections: int, seconds: float) -> list[str]:
    arguments = [plan.method, plan.path, str(plan.actions), plan.prefix, plan.tokens_file]
    arguments += ["\n".join(plan.headers), plan.paths_file]
    limits = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
    return ["wrk", *limits, "-s", str(SCRIPT), url, "--", *arguments]


async def _run(command: list[str], patience: float) -> Load:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(patience):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise LoadFailed("the load generator did not end") from None
    text = output.decode(errors="replace")
    for line in text.splitlines():
        if line.startswith("RESULT "):
            return msgspec.json.decode(line.removeprefix("RESULT "), type=Load)
    raise LoadFailed(f"the load generator said: {text[-500:]}")
