"""A background query that fails, for whatever reason, is tried again and counted; it never ends the node."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.pgbouncer import needs_pgbouncer, pooler
from tests.support.polling import eventually

from laurels.config import Settings


async def failures(node: InProcessNode, chore: str) -> float:
    """Return how often periodic work has failed, over all kinds."""
    async with node.http.get(f"{node.url}/metrics") as reply:
        text = await reply.text()
    return sum(float(count) for count in re.findall(rf'laurels_chore_failures_total{{chore="{chore}".*}} (\S+)', text))


async def ready(node: InProcessNode) -> bool:
    async with node.http.get(f"{node.url}/readyz") as reply:
        return reply.status == 200


@asynccontextmanager
async def missing(database_url: str, table: str) -> AsyncIterator[None]:
    """Statements about a table are refused: an error that no list of outages has."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"ALTER TABLE {table} RENAME TO {table}_elsewhere")
    try:
        yield
    finally:
        await connection.execute(f"ALTER TABLE {table}_elsewhere RENAME TO {table}")
        await connection.close()


@pytest.mark.parametrize(("table", "chore"), [("journal", "journal"), ("standings", "drift-sampler")])
async def test_a_refused_statement_never_ends_a_node(
    settings: Settings, database_url: str, table: str, chore: str
) -> None:
    async with running_node(replace(settings, verify_seconds=1)) as node:
        token = await node.token("ada")
        before = await failures(node, chore)
        async with missing(database_url, table):
            await eventually(lambda: failures(node, chore), lambda now: now > before + 1, within=10)
            assert await ready(node) == (chore != "journal")
        await eventually(lambda: ready(node), bool, within=10)
        assert (await node.complete(token, "a2"))[0] == 201


@needs_pgbouncer
async def test_a_pooler_that_begins_to_share_sessions_does_not_end_a_node(settings: Settings) -> None:
    """Its configuration was changed under a running node: little works then, and everything does afterwards."""
    with pooler(settings.database_url, "session") as bouncer:
        async with running_node(replace(settings, database_url=bouncer.url)) as node:
            token = await node.token("ada")
            assert (await node.complete(token, "a1"))[0] == 201
            before = await failures(node, "journal")
            bouncer.stop()
            bouncer.start("transaction")
            await eventually(lambda: failures(node, "journal"), lambda now: now > before + 2, within=20)
            bouncer.stop()
            bouncer.start("session")
            await eventually(lambda: ready(node), bool, within=20)
            assert (await node.complete(token, "a2"))[0] == 201
