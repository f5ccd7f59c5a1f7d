"""Unused ports: one for a server, a block for a cluster.

The kernel must not pick the same ones for outgoing connections: a check whether a server listens yet could be
given that very port to come from, reach itself, and keep the server from binding it. Of starts that were waited for
with a hundred questions, two in a hundred did.

Of several processes that run tests at once each looks among blocks of its own: what one has found free, and not taken
yet, no other finds.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket

from deploy.cluster.layout import PORTS

LOWEST, HIGHEST = 10_000, 32_000
"""Below Linux's net.ipv4.ip_local_port_range."""
WORKERS = 3
"""A server may take so many ports from its own on: its workers tell their metrics there."""


def free_block() -> int:
    """The first of PORTS free ports."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    together = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    starts = list(range(LOWEST, HIGHEST, PORTS))[process::together]
    random.shuffle(starts)
    return next(start for start in starts if all(_free(start + n) for n in range(PORTS)))


def free_port() -> int:
    """One port, and WORKERS - 1 after it."""
    return free_block() + random.randrange(PORTS - WORKERS)


def _free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
