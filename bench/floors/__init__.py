"""The least that the same work can cost with the same parts.

ledger.py  the statements of the product, recorded once and replayed without the product
http.py    aiohttp answering constant bytes; a bare protocol, which shows the generator's own ceiling
fanout.py  uvloop transports and a loop that writes to them
probes.py  fresh processes: the memory of a million members, the time to read them
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

START_SECONDS = 20.0


@contextlib.asynccontextmanager
async def process(module: str, *arguments: str, patience: float = START_SECONDS) -> AsyncIterator[tuple[str, int]]:
    """Run `python -m module` during the block; yield its first line and its process id. `patience` in seconds."""
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
