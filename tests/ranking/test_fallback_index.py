"""Several nodes, one index in Redis: exact while it is whole, else from the ledger, and whole again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from tests.ledger.conftest import add_users
from tests.ranking.redis_node import SharedNode, shared_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels import telemetry
from laurels.domain.actions import Placement
from laurels.domain.errors import Code, LaurelsError
from laurels.domain.standings import Standing
from laurels.ledger.db.pool import Pool
from laurels.ledger.standings import index_generations
from laurels.ranking.index import LEDGER, Ranking
from laurels.ranking.redis_index import projection
from laurels.ranking.redis_index.rebuild_backoff import FIRST_PAUSE
from laurels.ranking.sql_index import SqlIndex
from laurels.ranking.verify import sample

PEOPLE = 40
HEALED_WITHIN = 5.0


@pytest.fixture
async def nodes(pool: Pool, own_redis: RedisServer) -> AsyncIterator[tuple[SharedNode, SharedNode]]:
    """Two nodes that trust a built index."""
    await add_users(pool, PEOPLE)
    async with shared_node(pool, own_redis) as one, shared_node(pool, own_redis) as two:
        await one.ready()
        await two.ready()
        yield one, two


async def truth(node: SharedNode) -> list[tuple[int, int, int]]:
    ranking = await SqlIndex(node.pool).top(await node.default(), 100)
    return rows(ranking)


def rows(ranking: Ranking) -> list[tuple[int, int, int]]:
    return [(place.rank, place.user_id, place.score) for place in ranking.places]


async def test_what_one_node_writes_another_reads(nodes: tuple[SharedNode, SharedNode]) -> None:
    """The same user on both at once, too: receipts are exact, and the boards are the ledger's."""
    one, two = nodes
    work = [node.complete(n % PEOPLE + 1, f"{n}-{k}") for n in range(60) for k, node in enumerate(nodes)]
    answers = await asyncio.gather(*work)
    assert {answer.placement.rank_state for answer in answers} == {"exact"}
    assert all(answer.placement.rank for answer in answers)
    for node in nodes:
        board = await node.top()
        assert (rows(board), board.rank_state) == (await truth(node), "exact")
    assert await one.index.position(await one.default()) == await two.index.position(await two.default())


async def test_a_receipt_tells_rank_and_previous_rank(nodes: tuple[SharedNode, SharedNode]) -> None:
    one, two = nodes
    first = await one.complete(1, "a")
    assert (first.placement.previous_rank, first.placement.rank) == (None, 1)
    await two.complete(2, "b")
    second = await one.complete(2, "c")
    assert (second.placement.previous_rank, second.placement.rank) == (2, 1)
    assert second.placement.seq == (await two.top()).seq


async def test_a_commit_whose_node_died_is_brought_by_another(nodes: tuple[SharedNode, SharedNode]) -> None:
    one, two = nodes
    await one.complete(1, "a")
    await one.die_after_commit(2, "b")
    assert rows(await two.top()) != await truth(two)

    async def board() -> list[tuple[int, int, int]]:
        await two.projection.reconcile()
        return rows(await two.top())

    expected = await truth(two)
    await eventually(board, lambda seen: seen == expected, within=HEALED_WITHIN)
    assert (await two.top()).rank_state == "exact"
    assert await two.drift() == 0


async def test_a_batch_that_another_node_brought_first_tells_no_previous_rank(
    nodes: tuple[SharedNode, SharedNode],
) -> None:
    """Its own node is late: where the user was before is not known any more, and is not guessed."""
    one, two = nodes
    await one.complete(1, "a")
    await one.complete(2, "a")
    batch = await one.commit(2, "b")
    (action,) = batch.new_actions
    assert await two.projection.confirm([action]) == 0
    placements = await one.projection.project(batch)
    assert placements == {2: Placement(1, None, None, "rebuilding")}
    assert rows(await two.top()) == await truth(two)


async def test_confirming_a_users_action_leaves_the_others_of_its_batch_to_be_found(
    nodes: tuple[SharedNode, SharedNode],
) -> None:
    """The batch is not marked as taken: only one of its users was brought."""
    one, two = nodes
    batch = await one.commit(1, "a", 2)
    await two.projection.confirm(batch.new_actions[:1])
    assert [user for _, user, _ in rows(await two.top())] == [1]
    expected = await truth(two)

    async def board() -> list[tuple[int, int, int]]:
        await two.projection.reconcile()
        return rows(await two.top())

    await eventually(board, lambda seen: seen == expected, within=HEALED_WITHIN)


async def test_a_commit_that_comes_late_is_brought_too(nodes: tuple[SharedNode, SharedNode]) -> None:
    """Its journal entry is older than others that were seen before it."""
    one, two = nodes
    async with one.pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("INSERT INTO journal (node, kind, ids) VALUES ($1, 'standings', '{7}')", uuid4())
        await slow.execute(
            "INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version)"
            " VALUES ($1, 7, 5, ~5, now(), 1)",
            (await one.default()).id,
        )
        await one.complete(1, "a")
        for _ in range(3):
            await two.projection.reconcile()
        await transaction.commit()
    expected = await truth(two)

    async def board() -> list[tuple[int, int, int]]:
        await two.projection.reconcile()
        return rows(await two.top())

    await eventually(board, lambda seen: seen == expected, within=HEALED_WITHIN)


async def test_a_commit_is_brought_after_all_nodes_died(pool: Pool, own_redis: RedisServer) -> None:
    """A node that starts reads the journal from where the copies were last known to be complete."""
    await add_users(pool, 5)
    async with shared_node(pool, own_redis) as last:
        await last.ready()
        await last.complete(1, "a")
        await last.die_after_commit(2, "b")
    async with shared_node(pool, own_redis) as next_one:
        board = await next_one.top()
        assert (rows(board), board.rank_state) == (await truth(next_one), "exact")


@pytest.mark.parametrize("harm", ["flush", "restart", "half"])
async def test_a_redis_that_lost_something_is_rebuilt(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer, harm: str
) -> None:
    """Meanwhile every answer is right, and says where it comes from."""
    one, two = nodes
    for n in range(20):
        await one.complete(n + 1, "a")
    before = await two.top()
    await _harm(own_redis, harm)
    for node in nodes:
        board = await node.top()
        assert (rows(board), board.rank_state, board.epoch) == (await truth(node), "rebuilding", LEDGER)
    meanwhile = await two.complete(3, "b")
    assert meanwhile.placement.rank_state == "rebuilding"
    assert meanwhile.placement.rank == 1
    assert not meanwhile.placement.reaches(10)
    await asyncio.gather(one.ready(), two.ready())
    for node in nodes:
        board = await node.top()
        assert (rows(board), board.rank_state) == (await truth(node), "exact")
        assert board.epoch not in (before.epoch, LEDGER)
        assert await node.drift() == 0


async def _harm(server: RedisServer, harm: str) -> None:
    if harm == "flush":
        server.flush()
    elif harm == "restart":
        server.kill()
        server.start()
    else:
        async with server.client() as client:
            async for key in client.scan_iter("*:users"):
                await client.delete(key)


async def test_one_node_builds_while_the_others_wait(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer
) -> None:
    one, two = nodes
    await one.complete(1, "a")
    own_redis.flush()
    for node in nodes:
        await node.projection.reconcile()
    await asyncio.gather(*(node.projection.build_missing() for node in nodes * 2))
    await one.ready()
    await two.ready()
    async with own_redis.client() as client:
        states = [key async for key in client.scan_iter("*:state")]
    assert len(states) == len(await one.catalogue.windows_at(datetime.now(UTC)))


async def test_a_rebuild_beside_writes_loses_nothing(nodes: tuple[SharedNode, SharedNode]) -> None:
    one, two = nodes

    async def write(node: SharedNode) -> None:
        for n in range(60):
            await node.complete(n % PEOPLE + 1, f"{id(node)}-{n}")

    await one.complete(1, "a")
    told: list[tuple[int, int]] = []
    await asyncio.gather(write(one), write(two), one.projection.rebuild(lambda done, total: told.append((done, total))))
    await two.ready()
    assert told
    for node in nodes:
        assert rows(await node.top()) == await truth(node)
        assert await node.drift() == 0


async def test_while_redis_is_paused_nothing_waits_long_and_no_rank_is_wrong(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer
) -> None:
    one, two = nodes
    await one.complete(1, "a")
    own_redis.pause()
    loop = asyncio.get_running_loop()
    for n in range(6):
        started = loop.time()
        answer = await one.complete(2, f"b{n}")
        assert loop.time() - started < 10  # the deadlines add up to less than 2 s; this is a loaded machine
        assert answer.placement.rank_state == "rebuilding"
        ranks = {user: rank for rank, user, _ in await truth(one)}
        assert answer.placement.rank in (ranks[2], None)
    assert rows(await one.top()) == await truth(one)
    own_redis.resume()
    await one.ready()
    await two.ready()
    for node in nodes:
        board = await node.top()
        assert (rows(board), board.rank_state) == (await truth(node), "exact")


async def test_a_node_at_the_wrong_redis_notices(nodes: tuple[SharedNode, SharedNode], tmp_path: Path) -> None:
    """Two servers after a failover, each with clients: the one that the ledger names is believed."""
    one, _ = nodes
    await one.complete(1, "a")
    (tmp_path / "other").mkdir()
    promoted = RedisServer(tmp_path / "other")
    promoted.start()
    try:
        async with shared_node(one.pool, promoted) as moved:
            await moved.ready()
            await moved.complete(2, "b")
            await one.projection.reconcile()
            board = await one.top()
            assert (rows(board), board.rank_state) == (await truth(one), "rebuilding")
    finally:
        promoted.kill()


async def test_nodes_at_two_servers_do_not_build_in_turn_without_end(
    nodes: tuple[SharedNode, SharedNode], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each replaces the other's copy once at most, then waits; meanwhile both tell what the ledger holds.

    Who builds again says so.
    """
    one, _ = nodes
    await one.complete(1, "a")
    window = await one.default()
    (tmp_path / "other").mkdir()
    promoted = RedisServer(tmp_path / "other")
    promoted.start()
    epochs, before = set(), _contests()
    try:
        async with shared_node(one.pool, promoted) as moved:
            for _ in range(8):
                for node in (one, moved):
                    await node.look_after()
                    epochs.add((await index_generations.read(one.pool))[window.id].epoch)
            assert len(epochs) <= 3
            for node in (one, moved):
                assert rows(await node.top()) == await truth(node)
            assert _contests() == before, "a copy replaced once is what any failover looks like"
            one.projection._builder._backoff._clock = lambda: time.monotonic() + FIRST_PAUSE
            await one.look_after()
            assert _contests() == before + 1
            assert "REDIS_URL of all nodes must lead to one server" in capsys.readouterr().out
    finally:
        promoted.kill()


def _contests() -> float:
    return telemetry.REGISTRY.get_sample_value("laurels_index_rebuild_conflicts_total") or 0.0


async def test_a_full_redis_is_not_trusted_until_it_took_everything(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer
) -> None:
    one, two = nodes
    await one.complete(1, "a")
    own_redis.configure("maxmemory", "1")
    answer = await one.complete(2, "b")
    assert answer.placement.rank_state == "rebuilding"
    assert rows(await one.top()) == await truth(one)
    own_redis.configure("maxmemory", "0")
    await one.ready()
    await two.ready()
    assert await two.drift() == 0


async def test_a_redis_that_takes_nothing_for_long_is_rebuilt(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changes that it lacks are not remembered without end."""
    one, two = nodes
    monkeypatch.setattr(projection, "MAX_JOURNAL_READS", 3)
    before = await one.top()
    own_redis.configure("maxmemory", "1")
    await one.complete(2, "b")
    for _ in range(6):
        await one.projection.reconcile()
        assert len(one.projection._journal_reads) <= 4
    own_redis.configure("maxmemory", "0")
    await one.ready()
    await two.ready()
    after = await two.top()
    assert after.epoch != before.epoch
    assert (rows(after), after.rank_state) == (await truth(two), "exact")


async def test_drift_is_seen_and_repaired(nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer) -> None:
    one, two = nodes
    for n in range(5):
        await one.complete(n + 1, "a")
    window = await one.default()
    generation = one.projection.generations.readable(window)
    assert generation is not None
    await one.projection.windows.upsert(generation, {3: Standing(0, 1, 50, hidden=True)})
    assert await two.drift() == 1
    assert await sample(two.index, two.pool, window) >= 1  # the count, and the member if it was drawn
    await two.projection.rebuild()
    assert await two.drift() == 0


async def test_windows_that_are_over_are_freed(nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer) -> None:
    one, _ = nodes
    windows = await one.catalogue.windows_at(datetime.now(UTC))
    ended = [window for window in windows if window.span.ends_at is not None]
    assert ended
    for node in nodes:
        await node.projection.drop_ended(datetime.now(UTC) + timedelta(days=40))
    generations = await index_generations.read(one.pool)
    assert set(generations) == {window.id for window in windows} - {window.id for window in ended}
    async with own_redis.client() as client:
        assert len([key async for key in client.scan_iter("*:state")]) == len(generations)


async def test_too_many_who_ask_the_ledger_are_sent_away(
    nodes: tuple[SharedNode, SharedNode], own_redis: RedisServer
) -> None:
    """They are refused at once, with when to come again; some are answered, rightly."""
    one, _ = nodes
    await one.complete(1, "a")
    own_redis.flush()
    answers = await asyncio.gather(*(one.top() for _ in range(300)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, LaurelsError)]
    assert {refusal.code for refusal in refused} == {Code.OVERLOADED}
    assert {tuple(rows(answer)) for answer in answers if isinstance(answer, Ranking)} == {tuple(await truth(one))}
