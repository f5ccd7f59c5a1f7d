"""A Redis Cluster takes the index: every script names keys of one slot alone.

One server owns all slots here; it refuses a script or a command across slots (CROSSSLOT) as a cluster of many does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis as client
from hypothesis.stateful import run_state_machine_as_test
from tests.ranking.behaviour import examples
from tests.ranking.test_redis_windows import RedisMachine, _store
from tests.support.node import running_node
from tests.support.polling import eventually, soon
from tests.support.ports import free_block
from tests.support.redis import RedisServer

from laurels.config import Settings
from laurels.ranking.redis_index.windows import RedisWindows

SLOTS = 16_384


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisServer]:
    block = free_block()
    options = {"cluster-enabled": "yes", "cluster-port": str(block + 1), "cluster-config-file": str(tmp_path / "nodes")}
    server = RedisServer(tmp_path, port=str(block), bind="127.0.0.1", **options)
    server.start()
    try:
        with client.Redis(unix_socket_path=str(server.socket)) as connection:
            connection.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            soon(lambda: connection.execute_command("CLUSTER", "INFO"), _is_whole, within=10)
            with pytest.raises(client.ResponseError, match="same slot"):
                connection.mget("a", "b")
        yield server
    finally:
        server.kill()


def _is_whole(told: bytes) -> bool:
    return b"cluster_state:ok" in told


def test_a_cluster_answers_as_a_sorted_list_would(cluster: RedisServer) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(_store(cluster))
        RedisMachine.runner, RedisMachine.windows = runner, RedisWindows(store)
        run_state_machine_as_test(RedisMachine, settings=examples(10))
        runner.run(store.close())


async def test_a_node_works_with_it_whole(settings: Settings, cluster: RedisServer) -> None:
    """Index, bus and shared limits; nothing is degraded."""
    async with running_node(replace(settings, redis_url=cluster.url)) as node:
        await eventually(lambda: node.get("/readyz"), lambda told: not told[1]["degraded"], within=20)
        token = await node.token("clustered")
        for number in range(3):
            status, receipt = await node.complete(token, f"a-{number}")
            assert (status, receipt["rank"], receipt["rank_state"]) == (201, 1, "exact")
        _, board = await node.get("/api/scoreboard")
        assert [row["username"] for row in board["rows"]] == ["clustered"]
        assert board["rank_state"] == "exact"
