"""A batch judges without locks: whatever changes one of its users before it writes makes it judge again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.domain.test_held import odd
from tests.ledger.conftest import Ledger, add_users, codes, running_ledger
from tests.support.polling import eventually

from laurels.domain.actions import Submission
from laurels.domain.detectors import DetectorEngine
from laurels.domain.errors import LaurelsError
from laurels.domain.judgement import Accepted
from laurels.domain.tickets import Grant, Ticket
from laurels.ledger import transfer
from laurels.ledger.accounts import bootstrap, erasure, sanctions
from laurels.ledger.corrections import corrections, review
from laurels.ledger.db.pool import DatabaseUnusable, Pool
from laurels.ledger.events.audit import Actor
from laurels.ledger.standings import repair, snapshots
from laurels.ledger.write import committer
from laurels.ledger.write.batch import CommittedBatch, StaleUser, TransactionResolutionUnknown, commit_batch
from laurels.ledger.write.sql import LOAD_TICKETS, WRITE_BATCH
from laurels.ledger.write.user_locks import UserLocks
from laurels.web.auth.access_tokens import new_signing_key

ADMIN = Actor("operator:test", "request-1")
WAITS_FOR_A_LOCK = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '-- Writes a whole batch%'"
)

Change = Callable[[Ledger, dict[str, int]], Awaitable[object]]


class _Meanwhile:
    """A connection on which something happens elsewhere between reading and writing."""

    def __init__(self, connection: Any, change: Callable[[], Awaitable[object]]) -> None:
        self._connection = connection
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, sql: str, *arguments: Any) -> Any:
        if sql is WRITE_BATCH:
            await self._change()
        return await self._connection.execute(sql, *arguments)


async def _commit(
    ledger: Ledger, connection: Any, *submissions: Submission, pessimistic: bool = False
) -> CommittedBatch:
    return await commit_batch(
        connection, ledger.catalogue, uuid4(), submissions, DetectorEngine(), pessimistic=pessimistic
    )


async def _refold(ledger: Ledger, _: dict[str, int]) -> None:
    await ledger.pool.execute("UPDATE standings SET score = 7 WHERE user_id = 1")
    windows = ledger.catalogue
    window = await windows.window(windows.default_board, await ledger.pool.fetchval("SELECT now()"))
    assert await repair.refold(ledger.pool, window, uuid4()) == 1


async def _fold_imported(ledger: Ledger, _: dict[str, int]) -> None:
    await ledger.pool.execute("INSERT INTO pending_refolds VALUES (1)")
    assert [count async for count in transfer.fold_imported(ledger.pool)] == [1]


CHANGES: dict[str, Change] = {
    "another action": lambda ledger, _: ledger.complete(1, "other"),
    "a held action": lambda ledger, _: ledger.complete(1, "odd"),
    "a ban": lambda ledger, _: sanctions.ban(ledger.pool, ADMIN, 1, None),
    "a shadow": lambda ledger, _: sanctions.shadow(ledger.pool, ADMIN, 1, None),
    "an adjustment": lambda ledger, _: corrections.adjust(ledger.pool, ledger.catalogue, ADMIN, 1, 5, "why", "x"),
    "an adjustment by nothing": lambda ledger, _: corrections.adjust(
        ledger.pool, ledger.catalogue, ADMIN, 1, 0, "why", "x"
    ),
    "a reversal": lambda ledger, ids: corrections.reverse(ledger.pool, ADMIN, ids["counted"], "why"),
    "an approval": lambda ledger, ids: review.approve(ledger.pool, ADMIN, ids["held"], "why"),
    "a rejection": lambda ledger, ids: review.reject(ledger.pool, ADMIN, ids["held"], "why"),
    "a repair": _refold,
    "the fold of an import": _fold_imported,
    "an erasure": lambda ledger, _: erasure.erase(ledger.pool, ADMIN, 1, None),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_whatever_changes_a_user_makes_the_batch_judge_again(pool: Pool, name: str) -> None:
    """The batch writes nothing, not for its other users either; under locks it is decided on what is there."""
    await add_users(pool, 2)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger, pool.acquire() as connection:
        ids = {
            key: (await ledger.complete(1, identifier, kind)).accepted.action.action_id
            for key, identifier, kind in (("counted", "a", "lesson"), ("held", "odd-1", "quiz"))
        }
        batch = Submission(2, "lesson", "mine"), Submission(1, "lesson", "mine")
        changing = _Meanwhile(connection, lambda: CHANGES[name](ledger, ids))
        with pytest.raises(StaleUser):
            await _commit(ledger, changing, *batch)
        assert not await pool.fetchval("SELECT count(*) FROM actions WHERE action_identifier = 'mine'")
        assert not await pool.fetchval("SELECT count(*) FROM standings WHERE user_id = 2")
        await _commit(ledger, connection, *batch, pessimistic=True)
        window = await ledger.catalogue.window(ledger.catalogue.default_board, await pool.fetchval("SELECT now()"))
        assert await repair.refold(pool, window, uuid4()) == 0


async def test_what_others_do_does_not_make_a_batch_judge_again(ledger: Ledger) -> None:
    """Nor does a snapshot that records where others stand."""
    await ledger.complete(2, "a")

    async def change() -> None:
        await ledger.complete(2, "b", "quiz")
        await snapshots.take(ledger.pool, ledger.catalogue, uuid4())

    async with ledger.pool.acquire() as connection:
        batch = await _commit(ledger, _Meanwhile(connection, change), Submission(1, "lesson", "mine"))
    assert [type(outcome).__name__ for outcome in batch.outcomes] == ["Accepted"]


async def test_a_retry_whose_ticket_was_used_by_its_first_try_gets_the_receipt(ledger: Ledger) -> None:
    """The first try is committed elsewhere after the identifiers were read, and before the tickets are."""
    rules = '{"ticket": {"min_seconds": 0, "max_seconds": 3600}}'
    await ledger.pool.execute("UPDATE action_types SET scoring_rules = $1 WHERE name = 'lesson'", rules)
    await ledger.catalogue.refresh()
    now = await ledger.pool.fetchval("SELECT now()")
    grant = Grant(1, "lesson", b"nonce", now, now, now + timedelta(hours=1))
    sent = Submission(1, "lesson", "mine", ticket=Ticket("said", grant))

    class Between(_Meanwhile):
        async def fetch(self, sql: str, *arguments: Any) -> Any:
            if sql is LOAD_TICKETS and not first:
                async with ledger.pool.acquire() as elsewhere:
                    first.append(await _commit(ledger, elsewhere, sent))
            return await self._connection.fetch(sql, *arguments)

    async def nothing() -> None: ...

    first: list[CommittedBatch] = []
    async with ledger.pool.acquire() as connection:
        batch = await _commit(ledger, Between(connection, nothing), sent)
    (outcome,) = batch.outcomes
    assert isinstance(outcome, Accepted), outcome
    assert outcome.replayed


@pytest.mark.parametrize("comes_true", [True, False])
async def test_a_change_that_is_not_committed_yet_is_waited_for(ledger: Ledger, comes_true: bool) -> None:
    """The batch writes when it is rolled back, and judges again when it is committed: here it finds a banned user."""
    async with ledger.pool.acquire() as other:
        change = other.transaction()
        await change.start()
        await other.execute("UPDATE users SET status = 'banned' WHERE id = 1")
        waiting = asyncio.create_task(ledger.complete(1, "mine"))
        await eventually(lambda: ledger.pool.fetch(WAITS_FOR_A_LOCK), bool)
        await (change.commit() if comes_true else change.rollback())
    assert codes([await waiting]) == (["banned"] if comes_true else ["ok"])


async def test_an_action_that_an_import_wrote_a_moment_ago_is_told_as_it_stands(ledger: Ledger) -> None:
    """An import inserts rows before it folds them: the batch can't see the row, and then may not write it again."""
    await ledger.complete(1, "a")
    mine = Submission(1, "lesson", "mine")
    async with ledger.pool.acquire() as other:
        written = other.transaction()
        await written.start()
        await other.execute(
            "INSERT INTO actions (user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint,"
            " batch_id, completed_at, created_at) SELECT 1, action_type_id, 'mine', 10, 20, $1, batch_id, now(), now()"
            " FROM actions",
            mine.fingerprint(),
        )
        waiting = asyncio.create_task(ledger.writer.submit([mine]))
        await eventually(lambda: ledger.pool.fetch(WAITS_FOR_A_LOCK), bool)
        await written.commit()
    (result,) = await waiting
    assert not isinstance(result, LaurelsError)
    assert result.accepted.replayed


async def test_what_a_dying_server_says_of_a_write_is_not_believed(ledger: Ledger) -> None:
    """FATAL may come after the commit: the outcome is unknown. A cancelled statement wrote nothing for certain."""
    async with ledger.pool.acquire() as holder, ledger.pool.acquire() as connection:
        for end, expected in (("terminate", TransactionResolutionUnknown), ("cancel", asyncpg.QueryCanceledError)):
            async with holder.transaction():
                await holder.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
                async with ledger.pool.acquire() as mine:
                    writing = asyncio.create_task(_commit(ledger, mine, Submission(1, "lesson", end)))
                    (row,) = await eventually(lambda: connection.fetch(WAITS_FOR_A_LOCK), bool)
                    await connection.execute(f"SELECT pg_{end}_backend($1)", row["pid"])
                    with pytest.raises(expected):
                        await writing
    assert not await ledger.pool.fetchval("SELECT count(*) FROM actions")


async def test_ids_of_a_user_grow_from_any_source(ledger: Ledger) -> None:
    """Batches draw a thousand at a time, corrections one: histories are paged by id, so order is all."""
    for n in range(3):
        await ledger.writer.submit([Submission(1, "lesson", f"{n}-{item}") for item in range(1_000)])
        await corrections.adjust(ledger.pool, ledger.catalogue, ADMIN, 1, 1, "why", f"{n}")
    rows = await ledger.pool.fetch("SELECT id FROM actions ORDER BY created_at, id")
    assert len(rows) == 3_003
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids))


async def test_a_ledger_that_would_number_two_actions_alike_is_refused(pool: Pool) -> None:
    """An operator recreated the sequence: the node says what to do instead of starting."""
    await pool.execute("ALTER SEQUENCE actions_id_seq INCREMENT BY 1")
    with pytest.raises(DatabaseUnusable, match="ALTER SEQUENCE actions_id_seq INCREMENT BY 1024"):
        await bootstrap.prepare(pool, samples=True, new_signing_key=new_signing_key)


async def test_after_one_that_met_another_nodes_batches_lock_first_for_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nodes keep meeting, judging before the lock is work for nothing; after they met once, it soon ends."""
    locked: list[bool] = []
    meets = iter([True])

    async def commit(*given: Any, pessimistic: bool) -> CommittedBatch:
        locked.append(pessimistic)
        if next(meets, False):
            raise StaleUser
        return await commit_batch(*given, pessimistic=pessimistic)

    monkeypatch.setattr(committer, "commit_batch", commit)
    for n in range(committer.PESSIMISTIC_BATCHES + 2):
        assert codes([await ledger.complete(1, f"a-{n}")]) == ["ok"]
    assert locked == [False, True, *[True] * committer.PESSIMISTIC_BATCHES, False]


async def test_batches_with_a_user_in_common_go_in_the_order_of_coming() -> None:
    """And no batch waits for one with other users."""
    turns, done = UserLocks(), []
    first_may_end = asyncio.Event()

    async def batch(name: str, users: set[int], until: asyncio.Event | None = None) -> None:
        async with turns.hold(users):
            if until is not None:
                await until.wait()
            done.append(name)

    tasks = [
        asyncio.create_task(batch("first", {1, 2}, first_may_end)),
        asyncio.create_task(batch("second", {2, 3})),
        asyncio.create_task(batch("third", {3, 4})),
        asyncio.create_task(batch("free", {5})),
    ]
    await asyncio.wait_for(tasks[3], 5)
    first_may_end.set()
    await asyncio.gather(*tasks)
    assert done == ["free", "first", "second", "third"]


async def test_a_batch_that_fails_lets_the_next_one_go() -> None:
    """Its turn ends however it ends, also when it was waiting."""
    turns = UserLocks()
    with pytest.raises(RuntimeError):
        async with turns.hold({1}):
            raise RuntimeError
    async with turns.hold({1}):
        waiting = asyncio.create_task(_enter(turns, {1}))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with asyncio.timeout(5), turns.hold({1}):
        pass


async def _enter(turns: UserLocks, users: set[int]) -> None:
    async with turns.hold(users):
        pass
