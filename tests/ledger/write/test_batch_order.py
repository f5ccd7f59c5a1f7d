"""Inside one batch arrival decides: who reached a score first, and which action crossed into the top."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.conftest import Ledger, add_users, running_ledger

from laurels.domain.actions import Submission
from laurels.domain.boards import TOP_SIZE, Board, Window
from laurels.domain.calendars import ALL_TIME, Calendar, Span
from laurels.domain.judgement import microseconds_left_after
from laurels.ledger.db.pool import Pool
from laurels.ledger.standings.refolding import lock_user, refold_all, windows_covering
from laurels.ledger.standings.repair import refold
from laurels.ranking import verify
from laurels.ranking.memory_index import MemoryIndex
from laurels.ranking.memory_projection import MemoryProjection


def lessons(*users: int, tag: str = "a") -> list[Submission]:
    return [Submission(user, "lesson", f"{tag}-{position}") for position, user in enumerate(users)]


async def board(ledger: Ledger) -> list[int]:
    """User ids, best first, as the live index has them."""
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    return [place.user_id for place in (await ledger.projection.index.top(window, 100)).places]


async def test_who_reaches_a_score_first_in_a_batch_wins_the_tie(ledger: Ledger) -> None:
    """Live, refolded from the rows, and loaded by another process: one order, and it is that of arrival."""
    arrival = [7, 3, 9, 1, 5]
    await ledger.writer.submit(lessons(*arrival))
    assert await board(ledger) == arrival
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    proof = await verify.prove(ledger.pool, window)
    assert (proof.standings, proof.unfolded, proof.misranked) == (5, 0, 0)
    await refold(ledger.pool, window, uuid4())
    other = MemoryProjection(MemoryIndex("other"), ledger.catalogue, ledger.pool)
    await other.load()
    assert [place.user_id for place in (await other.index.top(window, 100)).places] == arrival


async def test_a_batch_says_the_same_as_its_rows(ledger: Ledger) -> None:
    """Standings and counters of the batch are what folding its rows gives, to the microsecond."""
    await ledger.writer.submit(lessons(1, 2, 1, 3, 2, 1))
    before = await _folded(ledger.pool)
    type_id = ledger.catalogue.types["lesson"].id
    for user_id in (1, 2, 3):
        async with ledger.pool.acquire() as connection, connection.transaction():
            user = await lock_user(connection, user_id)
            windows = await windows_covering(connection, datetime.now(UTC))
            await refold_all(connection, user, windows, type_id)
    assert await _folded(ledger.pool) == before
    rows = await ledger.pool.fetch("SELECT created_at, completed_at FROM actions ORDER BY id")
    gaps = [(row["created_at"] - rows[0]["created_at"]) // timedelta(microseconds=1) for row in rows]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 5
    assert all(row["created_at"] == row["completed_at"] for row in rows)


async def _folded(pool: Pool) -> list[tuple[object, ...]]:
    standings = "SELECT window_id, user_id, score, reached_at FROM standings ORDER BY 1, 2"
    columns = "user_id, total_count, day, day_count, last_at, hour_count, minute_count"
    counters = f"SELECT {columns} FROM user_action_counters ORDER BY 1"
    return [tuple(row) for query in (standings, counters) for row in await pool.fetch(query)]


async def test_the_action_that_crossed_entered_the_top(pool: Pool) -> None:
    """Eleven users are ahead; of thirty actions in one batch one enters; sent again, none does."""
    await add_users(pool, 30)
    async with running_ledger(pool) as ledger:
        for user in range(1, 12):
            await ledger.writer.submit(lessons(*[user] * (10 + user), tag="first"))
        results = await ledger.writer.submit(lessons(*[20] * 30))
        again = await ledger.writer.submit(lessons(*[20] * 30))
    entered = [result.placement.entered(TOP_SIZE, result.accepted.action.action_id) for result in results]
    assert [position for position, crossed in enumerate(entered) if crossed] == [12]  # 130 points: past the 10th's 120
    assert not any(result.placement.entered(TOP_SIZE, result.accepted.action.action_id) for result in again)
    assert {result.placement.rank for result in again} == {1}


async def test_a_batch_that_stays_outside_or_inside_enters_nothing(ledger: Ledger) -> None:
    for user in range(1, 11):
        await ledger.writer.submit(lessons(*[user] * 5, tag="first"))
    for user in (11, 1):
        results = await ledger.writer.submit(lessons(user, user, tag="then"))
        assert not any(r.placement.entered(TOP_SIZE, r.accepted.action.action_id) for r in results)


async def test_users_of_one_batch_enter_each_by_their_own_action(ledger: Ledger) -> None:
    results = await ledger.writer.submit(lessons(1, 2, 1, 2, 3))
    entered = [r.placement.entered(TOP_SIZE, r.accepted.action.action_id) for r in results]
    assert entered == [True, True, False, False, True]


DAY = Window(2, Board(2, "day", "Day", calendar=Calendar(every="day")), Span(None, datetime(2026, 3, 2, tzinfo=UTC)))


@pytest.mark.parametrize("windows", [[], [Window(1, Board(1, "all", "All"), ALL_TIME), DAY]])
@given(before=st.integers(1, 60_000_000))
def test_actions_of_one_batch_share_its_minute_and_its_windows(windows: list[Window], before: int) -> None:
    """The last of them lies in the minute and windows of the first, and not one microsecond is given away."""
    end = datetime(2026, 3, 2, tzinfo=UTC)
    now = end - timedelta(microseconds=before)
    left = microseconds_left_after(now, windows)
    assert 0 <= left < 60_000_000
    assert now + timedelta(microseconds=left + 1) == end
