"""The least that the same work can cost with the same parts.

ledger.py  what the product says to PostgreSQL, recorded once and played back with no product around it
http.py    aiohttp answering constant bytes; and a bare protocol, which shows what the generator can do
fanout.py  uvloop transports and a loop that writes to them
probes.py  fresh processes: what a million members weigh, what reading them takes
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

START_SECONDS = 20.0


@contextlib.asynccontextmanager
async def process(module: str, *arguments: str, patience: float = START_SECONDS) -> AsyncIterator[tuple[str, int]]:
    """(first line that `python -m module` prints, its process id); ended with the block. `patience` in seconds."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(patience):
            line = (await running.stdout.readline()).decode().strip()
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield line, running.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()
