"""The ledger, opened to change what nodes hold in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog

from ..config import Settings
from ..database import database
from ..ledger.db.pool import Pool
from ..ledger.events.propagation import wait_for_nodes

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 3.0
"""Nodes read the journal twice a second; one that was killed is not waited for longer than this."""


@contextlib.asynccontextmanager
async def changing(settings: Settings) -> AsyncIterator[Pool]:
    """A pool to the ledger; at the end, wait until every running node has applied what was changed.

    So the change holds for the very next request, on whatever node. Raises DatabaseUnusable.
    """
    async with database(settings) as pool:
        yield pool
        lacking = await wait_for_nodes(pool, PATIENCE_SECONDS)
        if lacking:
            log.warning("changed, but not yet confirmed by every node: they follow as soon as they can", nodes=lacking)
