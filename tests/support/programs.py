"""Programs that tests run to their end, and what is left of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import psutil

PATIENCE = 120.0
END_SECONDS = 20.0


async def output(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints. It is killed when it takes too long or the test is cancelled."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()
    return out.decode()


def left_running() -> list[str]:
    """Return the command lines of this process's children that don't end by themselves; they are killed."""
    _, alive = psutil.wait_procs(psutil.Process().children(), timeout=END_SECONDS)
    lines = []
    for child in alive:
        lines.append(" ".join(child.cmdline()))
        child.kill()
        child.wait(END_SECONDS)
    return lines
