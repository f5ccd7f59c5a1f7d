"""Undoing, deciding and adjusting, on a real PostgreSQL: exact, once, and known to the index."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.domain.test_held import odd
from tests.ledger.conftest import Ledger, add_users, codes, running_ledger
from tests.ledger.write.test_rules import set_rules

from laurels.domain.detectors import DetectorEngine
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.corrections import corrections, review
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import Actor
from laurels.ledger.events.journal import Journal
from laurels.ranking.verify import compare, prove

ADMIN = Actor("operator:test", "request-1")


async def complete(
    ledger: Ledger, user: int, identifier: str, kind: str = "lesson", metadata: str | None = None
) -> int:
    """The id of the new action."""
    result = await ledger.complete(user, identifier, kind, metadata)
    assert codes([result]) == ["ok"], result
    return result.accepted.action.action_id


async def refused(work: Awaitable[object]) -> str:
    with pytest.raises(LaurelsError) as error:
        await work
    return error.value.code.value


async def add_board(ledger: Ledger, slug: str, **columns: str) -> int:
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f"'{value}'" for value in columns.values())
    board = await ledger.pool.fetchval(
        f"INSERT INTO boards (slug, name, {names}) VALUES ('{slug}', '{slug}', {values}) RETURNING id"
    )
    await ledger.catalogue.refresh()
    return int(board)


async def standing(ledger: Ledger, slug: str, user: int) -> Any:
    """(score, reached at) on one board; None when it is void or was never there."""
    window = await ledger.catalogue.window(ledger.catalogue.board(slug))
    row = await ledger.pool.fetchrow(
        "SELECT score, reached_at FROM standings WHERE window_id = $1 AND user_id = $2 AND NOT void", window.id, user
    )
    return None if row is None else tuple(row)


async def when(ledger: Ledger, action_id: int) -> datetime:
    return await ledger.pool.fetchval("SELECT created_at FROM actions WHERE id = $1", action_id)


async def unfolded(ledger: Ledger) -> int:
    """Standings of all boards that are not the fold of their rows."""
    windows = await ledger.catalogue.windows_at(datetime.now(UTC))
    return sum([(await prove(ledger.pool, window)).unfolded for window in windows])


async def test_what_is_undone_had_never_been_there(ledger: Ledger) -> None:
    """On boards that sum, keep the best or the latest: the earlier standing returns with its own time."""
    await add_board(ledger, "best", aggregate="best")
    await add_board(ledger, "latest", aggregate="latest")
    first = await complete(ledger, 1, "a", "lesson")
    second = await complete(ledger, 1, "b", "quiz")
    before = await when(ledger, first)
    assert (await standing(ledger, "best", 1))[1] == await when(ledger, second)
    done = await corrections.reverse(ledger.pool, ADMIN, second, "made up")
    assert (done.points, done.new_score, done.replayed) == (-25, 10, False)
    for slug in ("points", "points-weekly", "best", "latest"):
        assert await standing(ledger, slug, 1) == (10, before), slug
    assert await ledger.pool.fetchval("SELECT current_score FROM users WHERE id = 1") == 10
    assert await ledger.pool.fetchval("SELECT sum(score_earned) FROM actions WHERE user_id = 1") == 10
    assert await unfolded(ledger) == 0


async def test_who_has_nothing_left_is_off_the_board_until_the_next_action(ledger: Ledger) -> None:
    """Also in an index that took the standing before: its version goes on, so neither is missed."""
    projection = ledger.projection
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    only = await complete(ledger, 1, "a")
    await corrections.reverse(ledger.pool, ADMIN, only, "made up")
    await projection.repair([1])
    assert await standing(ledger, "points", 1) is None
    assert (await projection.index.top(window, 10)).places == ()
    assert await compare(projection.index, ledger.pool, window) == 0
    await complete(ledger, 1, "b")
    assert [place.score for place in (await projection.index.top(window, 10)).places] == [10]
    assert await compare(projection.index, ledger.pool, window) == 0
    assert await unfolded(ledger) == 0


async def test_what_was_used_up_is_free_again(ledger: Ledger) -> None:
    """Caps, cooldowns, the points of the day, counts and claims of everybody."""
    await set_rules(ledger.pool, "lesson", total_cap=1, cooldown_seconds=600)
    await set_rules(ledger.pool, "quiz", once_for_all="code", first={"count": 1, "bonus": 5})
    await ledger.pool.execute("UPDATE boards SET daily_points_cap = 40 WHERE is_default")
    await ledger.catalogue.refresh()
    lesson = await complete(ledger, 1, "a")
    quiz = await complete(ledger, 1, "b", "quiz", '{"code":"X"}')
    assert codes([await ledger.complete(1, "c"), await ledger.complete(2, "c", "quiz", '{"code":"X"}')]) == [
        "total_cap_reached",
        "already_claimed",
    ]
    await corrections.reverse(ledger.pool, ADMIN, lesson, "made up")
    await corrections.reverse(ledger.pool, ADMIN, quiz, "made up")
    assert await ledger.pool.fetchval("SELECT points_today FROM users WHERE id = 1") == 0
    again = await ledger.complete(2, "c", "quiz", '{"code":"X"}')
    assert again.accepted.action.score_earned == 30  # with the bonus of the first
    await complete(ledger, 1, "c")
    assert (
        await ledger.pool.fetchval(
            "SELECT total_count FROM user_action_counters WHERE user_id = 1 AND action_type_id = 1"
        )
        == 1
    )


async def test_undoing_happens_once_however_often_and_wherever_it_is_asked(pool: Pool) -> None:
    """Forty at once over two processes, while the same user goes on playing."""
    await add_users(pool, 2)
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        target = await complete(one, 1, "target")
        asked = [corrections.reverse(pool, ADMIN, target, "made up") for _ in range(40)]
        played = [ledger.complete(1, f"{n}") for n in range(20) for ledger in (one, other)]
        done = await asyncio.gather(*asked, *played)
        assert sorted(item.replayed for item in done[:40]) == [False] + [True] * 39
        assert len({item.action_id for item in done[:40]}) == 1
        assert await standing(one, "points", 1) == (200, (await standing(one, "points", 1))[1])
        assert await unfolded(one) == 0
    assert await pool.fetchval("SELECT count(*) FROM audit WHERE act = 'action.reverse'") == 1


async def test_what_cannot_be_undone_says_so(pool: Pool) -> None:
    await add_users(pool, 1)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        undone = await corrections.reverse(pool, ADMIN, await complete(ledger, 1, "a"), "made up")
        held = await complete(ledger, 1, "odd")
        assert await refused(corrections.reverse(pool, ADMIN, undone.action_id, "x")) == "not_reversible"
        assert await refused(corrections.reverse(pool, ADMIN, held, "x")) == "not_reversible"
        for unknown in (0, -1, 999, 2**63, 2**80):
            assert await refused(corrections.reverse(pool, ADMIN, unknown, "x")) == "action_unknown"


async def test_an_approved_action_counts_from_its_own_time(pool: Pool) -> None:
    """As if it had never been held: a later action was the last to move the score, and the rank says so."""
    await add_users(pool, 1)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        await add_board(ledger, "best", aggregate="best")
        held = await complete(ledger, 1, "odd", "quiz")
        later = await complete(ledger, 1, "b")
        assert await standing(ledger, "points", 1) == (10, await when(ledger, later))
        decided = await review.approve(pool, ADMIN, held, "looked at the recording")
        assert (decided.status, decided.replayed) == ("awarded", False)
        assert (await review.approve(pool, ADMIN, held, "again")).replayed
        assert await standing(ledger, "points", 1) == (35, await when(ledger, later))
        assert await standing(ledger, "best", 1) == (25, await when(ledger, held))
        assert await refused(review.reject(pool, ADMIN, held, "no")) == Code.NOT_HELD
        again = await ledger.complete(1, "odd", "quiz")
        assert (again.accepted.action.status, again.accepted.action.counted) == ("awarded", 25)
        assert await unfolded(ledger) == 0


async def test_a_rejected_action_never_counts_and_uses_nothing_up(pool: Pool) -> None:
    await add_users(pool, 1)
    await set_rules(pool, "lesson", total_cap=1)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        held = await complete(ledger, 1, "odd")
        assert codes([await ledger.complete(1, "b")]) == ["total_cap_reached"]
        assert (await review.reject(pool, ADMIN, held, "a script")).status == "rejected"
        assert (await review.reject(pool, ADMIN, held, "a script")).replayed
        assert await refused(review.approve(pool, ADMIN, held, "no")) == Code.NOT_HELD
        await complete(ledger, 1, "b")
        assert await refused(review.approve(pool, ADMIN, await complete(ledger, 1, "c", "quiz"), "x")) == Code.NOT_HELD
        assert await unfolded(ledger) == 0
    acts = await pool.fetch("SELECT act, reason, before, after FROM audit")
    assert [tuple(row) for row in acts] == [("action.reject", "a script", '"held"', '"rejected"')]


async def test_of_two_opposite_decisions_at_once_one_holds(pool: Pool) -> None:
    await add_users(pool, 1)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        held = await complete(ledger, 1, "odd")
        decisions = [review.approve, review.reject] * 10
        answers = await asyncio.gather(*(d(pool, ADMIN, held, "x") for d in decisions), return_exceptions=True)
        told = [answer.code if isinstance(answer, LaurelsError) else answer.status for answer in answers]
        assert sorted(told, key=str).count(Code.NOT_HELD) == 10
        assert len(set(told)) == 2
        assert await unfolded(ledger) == 0


async def test_held_actions_are_listed_oldest_first_in_pages(pool: Pool) -> None:
    await add_users(pool, 3)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        ids = [await complete(ledger, 1 + n % 2, f"odd-{n}", metadata='{"n":1}') for n in range(7)]
    await review.approve(pool, ADMIN, ids[0], "fine")
    found: list[Any] = []
    cursor = None
    while True:
        page = await review.pending(pool, cursor, 2)
        found += page.rows
        cursor = page.next
        if cursor is None:
            break
    assert [held.action_id for held in found] == ids[1:]
    assert (found[0].code, found[0].username, json.loads(found[0].metadata)) == ("odd", "user-2", {"n": 1})
    assert [held.action_id for held in (await review.pending(pool, None, 10, user_id=1)).rows] == ids[2::2]
    assert (await review.pending(pool, None, 10, code="other")).rows == []


async def test_an_adjustment_is_a_row_with_a_reason(ledger: Ledger) -> None:
    """Once per identifier; it moves what adds up over all types, and can be undone."""
    pool, catalogue = ledger.pool, ledger.catalogue
    await add_board(ledger, "best", aggregate="best")
    await complete(ledger, 1, "won")

    async def adjust(points: int, reason: str = "lost in the crash", user: int = 1) -> corrections.Correction:
        return await corrections.adjust(pool, catalogue, ADMIN, user, points, reason, "ticket-7")

    done = await asyncio.gather(*(adjust(40) for _ in range(10)))
    assert sorted(item.replayed for item in done) == [False] + [True] * 9
    assert {(item.points, item.new_score) for item in done} == {(40, 50)}
    assert [(await standing(ledger, slug, 1))[0] for slug in ("points", "points-weekly", "best")] == [50, 50, 10]
    assert await refused(adjust(41)) == "identifier_conflict"
    assert await refused(adjust(2**63)) == "score_overflow"
    assert await refused(adjust(1, user=99)) == "user_unknown"
    assert await unfolded(ledger) == 0
    undone = await corrections.reverse(pool, ADMIN, done[0].action_id, "found again")
    assert undone.new_score == 10
    assert await unfolded(ledger) == 0


async def test_users_choose_no_identifier_that_stands_in_the_way(ledger: Ledger) -> None:
    """An adjustment and a completion may have the same one."""
    await complete(ledger, 1, "ticket-7")
    done = await corrections.adjust(ledger.pool, ledger.catalogue, ADMIN, 1, 5, "x", "ticket-7")
    assert (done.replayed, done.new_score) == (False, 15)
    assert (await ledger.complete(1, "ticket-7")).accepted.replayed


async def test_a_default_board_that_does_not_add_up_is_not_adjusted(ledger: Ledger) -> None:
    await ledger.pool.execute("UPDATE boards SET aggregate = 'best' WHERE is_default")
    await ledger.catalogue.refresh()
    work = corrections.adjust(ledger.pool, ledger.catalogue, ADMIN, 1, 5, "x", "t")
    assert await refused(work) == Code.NOT_ADJUSTABLE


async def test_a_window_that_is_over_stays_truthful(ledger: Ledger) -> None:
    """Undone after its week: that week's standing is refolded, this week's is not touched."""
    action = await complete(ledger, 1, "a")
    row = await ledger.pool.fetchrow("SELECT * FROM windows WHERE starts_at IS NOT NULL")
    # As if the week had begun a week later: the action lies in the one before.
    await ledger.pool.execute(
        "UPDATE windows SET starts_at = now(), ends_at = now() + interval '7 days' WHERE id = $1", row["id"]
    )
    over = await ledger.pool.fetchval(
        "INSERT INTO windows (board_id, starts_at, ends_at) VALUES ($1, $2, now()) RETURNING id",
        row["board_id"],
        row["starts_at"],
    )
    await ledger.pool.execute("UPDATE standings SET window_id = $1 WHERE window_id = $2", over, row["id"])
    await corrections.reverse(ledger.pool, ADMIN, action, "made up")
    rows = await ledger.pool.fetch("SELECT window_id, void, hidden FROM standings WHERE user_id = 1 ORDER BY 1")
    assert {tuple(r) for r in rows} == {(1, True, True), (over, True, True)}


async def test_every_node_hears_of_a_correction(ledger: Ledger) -> None:
    """Also the node that made it: the journal entry is for all."""
    mine = Journal(ledger.pool, ledger.node)
    action = await complete(ledger, 3, "a")
    await mine.start()
    await corrections.reverse(ledger.pool, ADMIN, action, "made up")
    assert [(entry.kind, entry.ids) for entry in await mine.read()] == [("standings", [3])]


@pytest.mark.parametrize("seed", range(3))
async def test_any_sequence_leaves_every_standing_the_fold_of_its_rows(pool: Pool, seed: int) -> None:
    """Random play and random corrections by two processes at once; then the proof over boards of every kind."""
    dice = random.Random(seed)
    await add_users(pool, 4)
    async with (
        running_ledger(pool, detectors=DetectorEngine([odd])) as one,
        running_ledger(pool, detectors=DetectorEngine([odd])) as other,
    ):
        for aggregate in ("sum", "best", "latest"):
            for order in ("desc", "asc"):
                await add_board(one, f"{aggregate}-{order}", aggregate=aggregate, order=order)
        await other.catalogue.refresh()
        for turn in range(12):
            await asyncio.gather(
                *(_some_act(dice, ledger, f"{turn}-{n}-{p}") for n in range(8) for p, ledger in ((1, one), (2, other)))
            )
        assert await unfolded(one) == 0
        await one.projection.rebuild()
        await _check_counters(one)
    wrong = await pool.fetch(
        "SELECT u.id FROM users u LEFT JOIN actions a ON a.user_id = u.id AND a.status = 'awarded' "
        "GROUP BY u.id HAVING u.current_score <> coalesce(sum(a.score_earned), 0)"
    )
    assert wrong == []


async def _some_act(dice: random.Random, ledger: Ledger, name: str) -> None:
    pool, user = ledger.pool, dice.randint(1, 4)
    act = dice.choice(["complete", "complete", "hold", "reverse", "approve", "reject", "adjust"])
    if act in ("complete", "hold"):
        await ledger.complete(user, f"odd-{name}" if act == "hold" else name, dice.choice(["lesson", "quiz"]))
    elif act == "adjust":
        await corrections.adjust(pool, ledger.catalogue, ADMIN, user, dice.randint(-20, 20), "x", name)
    else:
        wanted = "status = 'awarded' AND kind <> 'reversal'" if act == "reverse" else "status = 'held'"
        rows = await pool.fetch(f"SELECT id FROM actions WHERE {wanted}")
        decide: dict[str, Callable[..., Any]] = {"approve": review.approve, "reject": review.reject}
        if rows:
            work = decide.get(act, corrections.reverse)(pool, ADMIN, dice.choice(rows)["id"], "x")
            with contextlib.suppress(LaurelsError):  # decided by another operator meanwhile
                await work


async def _check_counters(ledger: Ledger) -> None:
    """Counts of what is left, and the points of today."""
    counted = await ledger.pool.fetch(
        "SELECT a.user_id, a.action_type_id, count(*) FROM actions a WHERE kind = 'completion' "
        "AND status <> 'rejected' AND NOT EXISTS (SELECT FROM actions r WHERE r.reverses = a.id) GROUP BY 1, 2"
    )
    kept = await ledger.pool.fetch("SELECT user_id, action_type_id, total_count FROM user_action_counters")
    assert {tuple(row) for row in kept} == {tuple(row) for row in counted}
