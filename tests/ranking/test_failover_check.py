"""Exact: what a lost primary showed, and no standby had, does not stay in the index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.ledger.conftest import add_users
from tests.ranking.redis_node import SharedNode, shared_node
from tests.support.redis import RedisServer

from laurels.domain.standings import Standing
from laurels.ledger.db.pool import Pool
from laurels.ledger.events import journal
from laurels.ranking.failover_check import RECENT_SECONDS, FailoverCheck

PLAYER = 1


class Server:
    """Says which timeline the primary writes."""

    def __init__(self) -> None:
        self.timeline = 1

    async def told(self, _: Pool) -> int:
        return self.timeline


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(journal, "timeline", server.told)
    return server


@pytest.fixture
async def node(pool: Pool, own_redis: RedisServer) -> AsyncIterator[SharedNode]:
    await add_users(pool, 3)
    async with shared_node(pool, own_redis) as node:
        await node.ready()
        await node.complete(PLAYER, "kept")
        yield node


def watching(node: SharedNode) -> FailoverCheck:
    return FailoverCheck(node.pool, node.catalogue, node.index, node.projection.rebuild)


async def held(node: SharedNode) -> Standing:
    return (await node.index.held(await node.default(), [PLAYER]))[PLAYER]


async def show_what_is_lost(node: SharedNode, versions: int) -> Standing:
    """Bring a standing that the ledger never had; the true one."""
    true = await held(node)
    generation = node.projection.generations.writable(await node.default())
    assert generation is not None
    ghost = Standing(true.score + 500, true.reached_at + 1, true.version + versions)
    await node.projection.windows.upsert(generation, {PLAYER: ghost})
    assert await held(node) == ghost
    return true


@pytest.mark.parametrize("versions", [1, 2])
async def test_a_standing_that_the_new_primary_lacks_is_forgotten(
    node: SharedNode, server: Server, versions: int
) -> None:
    """Also when the ledger has come to the same version by another way meanwhile."""
    timeline = watching(node)
    await timeline.check()
    await show_what_is_lost(node, versions)
    timeline.record_seen([PLAYER])
    server.timeline = 2
    await node.complete(PLAYER, "after the failover")
    await timeline.check()
    (row,) = await node.pool.fetch("SELECT current_score FROM users WHERE id = $1", PLAYER)
    assert (await held(node)).score == row["current_score"]


async def test_an_index_that_is_right_is_left_alone(node: SharedNode, server: Server) -> None:
    timeline = watching(node)
    await timeline.check()
    epoch = (await node.top()).epoch
    timeline.record_seen([PLAYER, 2])
    server.timeline = 2
    await timeline.check()
    assert (await node.top()).epoch == epoch


async def test_only_what_was_read_lately_is_compared(node: SharedNode, server: Server) -> None:
    now = 0.0
    timeline = FailoverCheck(node.pool, node.catalogue, node.index, node.projection.rebuild, clock=lambda: now)
    await timeline.check()
    timeline.record_seen([PLAYER])
    now = RECENT_SECONDS + 1
    epoch = (await node.top()).epoch
    await show_what_is_lost(node, 1)
    server.timeline = 2
    await timeline.check()
    assert (await node.top()).epoch == epoch


async def test_the_ledger_tells_its_timeline(pool: Pool) -> None:
    assert await journal.timeline(pool) >= 1
