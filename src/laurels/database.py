"""Open and close the ledger named in the settings, for a node or a command.

Apart from `runtime`, so that commands do not import the parts of a node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from .config import Settings
from .ledger.accounts import bootstrap
from .ledger.db import migrations
from .ledger.db import pool as ledger_pool
from .ledger.db.pool import Pool
from .ledger.embedded.server import EmbeddedPostgres

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def database(settings: Settings, *, own: bool = False, create: bool = False) -> AsyncIterator[Pool]:
    """Yield a pool to the ledger, migrated and with its initial rows. Raises DatabaseUnusable."""
    async with connection(settings, own=own, create=create) as pool:
        applied = await migrations.migrate(pool)
        if applied:
            log.info("migrated", applied=applied)
        await bootstrap.prepare(pool, samples=settings.samples, new_signing_key=_new_signing_key)
        yield pool


@contextlib.asynccontextmanager
async def connection(settings: Settings, *, own: bool = False, create: bool = False) -> AsyncIterator[Pool]:
    """Yield a pool to the database without migrating it: DATABASE_URL, or the embedded server.

    For the embedded server, `own` claims its folder and `create` creates a missing one. Commands don't create it: they
    may be run in the wrong folder.

    Raises DatabaseUnusable.
    """
    async with contextlib.AsyncExitStack() as stack:
        url = settings.database_url
        if not url:
            embedded = EmbeddedPostgres(settings.data)
            stack.push_async_callback(asyncio.to_thread, embedded.stop)
            url = await asyncio.to_thread(embedded.start, own=own, create=create)
        pool = await ledger_pool.connect(url, size=settings.pool_size)
        stack.push_async_callback(ledger_pool.close, pool)
        yield pool


async def migrate_schema(settings: Settings) -> list[str]:
    """Bring the schema up to date, and return the migrations applied. Raises DatabaseUnusable."""
    async with connection(settings, create=True) as pool:
        return await migrations.migrate(pool)


def _new_signing_key() -> tuple[str, str]:
    from .web.auth.access_tokens import new_signing_key  # joserfc takes a tenth of a second; an old ledger has a key

    return new_signing_key()
