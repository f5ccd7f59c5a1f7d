"""Nodes that are killed, and a Redis that is, between COMMIT and index: no rank stays wrong, none is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.server import LaurelsServer

from laurels.ledger.db.pool import Pool

HEALED_WITHIN = 5.0
BACK_WITHIN = 10.0
BOARD = """
SELECT u.username, row_number() OVER (ORDER BY s.sort_score, s.reached_at, s.user_id) AS rank, s.score
FROM standings s JOIN users u ON u.id = s.user_id WHERE s.window_id = 1 AND NOT s.hidden"""


@pytest.fixture
async def servers(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> AsyncIterator[tuple[LaurelsServer, LaurelsServer]]:
    """Two nodes as processes, on one ledger and one Redis."""
    settings = {"REDIS_URL": own_redis.url, "LAURELS_VERIFY_SECONDS": "1"}
    pair = tuple(LaurelsServer(database_url, tmp_path / f"log{n}", **settings) for n in range(2))
    for server in pair:
        await asyncio.to_thread(server.start)
    yield pair[0], pair[1]
    own_redis.resume()
    for server in pair:
        if server.process is not None and server.process.poll() is None:
            await asyncio.to_thread(server.stop)


async def test_a_node_killed_between_commit_and_index_leaves_no_wrong_rank(
    servers: tuple[LaurelsServer, LaurelsServer], own_redis: RedisServer, pool: Pool
) -> None:
    """Redis is paused, so that the node has committed and can't bring it; then the node is killed."""
    one, two = servers
    ann, ben = [await asyncio.to_thread(server.register, name) for server, name in ((one, "ann"), (two, "ben"))]
    await asyncio.to_thread(two.complete, ben)
    await _exact(two, pool)
    own_redis.pause()
    sending = asyncio.create_task(asyncio.to_thread(one.complete, ann, n=2))
    await eventually(lambda: pool.fetchval("SELECT count(*) FROM actions"), lambda count: count == 2)
    await asyncio.to_thread(one.kill)
    with pytest.raises(OSError):
        await sending
    own_redis.resume()
    board = await _exact(two, pool, within=HEALED_WITHIN)
    assert [row["username"] for row in board["rows"]] == ["ben", "ann"]


@pytest.mark.parametrize("harm", ["killed", "flushed"])
async def test_a_redis_that_lost_everything_is_filled_again_under_load(
    servers: tuple[LaurelsServer, LaurelsServer], own_redis: RedisServer, pool: Pool, harm: str
) -> None:
    tokens = [await asyncio.to_thread(servers[n % 2].register, f"player-{n}") for n in range(6)]
    playing = [
        asyncio.create_task(asyncio.to_thread(servers[n % 2].complete, token, n=25)) for n, token in enumerate(tokens)
    ]
    await eventually(lambda: pool.fetchval("SELECT count(*) FROM actions"), lambda count: count > 30)
    if harm == "killed":
        own_redis.kill()
        own_redis.start()
    else:
        own_redis.flush()
    for receipt in await asyncio.gather(*playing):
        assert receipt["rank_state"] in ("exact", "rebuilding")
    for server in servers:
        board = await _exact(server, pool, within=BACK_WITHIN)
        assert [row["score"] for row in board["rows"]] == [25 * 10] * 6


async def _exact(server: LaurelsServer, pool: Pool, *, within: float = BACK_WITHIN) -> dict[str, Any]:
    """The board of a node once Redis answers it; every answer on the way there must be the ledger's."""
    truth = {row["username"]: (row["rank"], row["score"]) for row in await pool.fetch(BOARD)}

    async def look() -> dict[str, Any]:
        return await asyncio.to_thread(server.get, "/api/scoreboard?limit=100")

    def right(board: dict[str, Any]) -> bool:
        seen = {row["username"]: (row["rank"], row["score"]) for row in board["rows"]}
        assert board["rank_state"] == "exact" or seen == truth, board
        return board["rank_state"] == "exact" and seen == truth

    return await eventually(look, right, within=within)
