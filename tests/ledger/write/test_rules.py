"""The rules that need the ledger: what others did, what was done before, what was earned today."""

from __future__ import annotations

import asyncio
import json

from tests.ledger.conftest import Ledger, add_users, codes, running_ledger

from laurels.ledger.db.pool import Pool


async def set_rules(pool: Pool, name: str, **rules: object) -> None:
    await pool.execute("UPDATE action_types SET scoring_rules = $2 WHERE name = $1", name, json.dumps(rules))


async def test_a_code_is_redeemed_once_by_anybody(pool: Pool) -> None:
    """Twenty users on two processes want the same code at once: one gets it."""
    await add_users(pool, 20)
    await set_rules(pool, "lesson", once_for_all="code")
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        wanted = (
            ledger.complete(user, "redeem", metadata='{"code":"XMAS"}')
            for user, ledger in zip(range(1, 21), [one, other] * 10, strict=True)
        )
        results = await asyncio.gather(*wanted)
        assert sorted(codes(results)) == ["already_claimed"] * 19 + ["ok"]
        assert codes([await one.complete(1, "other", metadata='{"code":"EASTER"}')]) == ["ok"]


async def test_the_first_few_are_counted_over_processes(pool: Pool) -> None:
    await add_users(pool, 12)
    await set_rules(pool, "lesson", first={"count": 5, "bonus": 100})
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        ledgers = [one, other] * 6
        results = await asyncio.gather(*(ledgers[user - 1].complete(user, "x") for user in range(1, 13)))
    assert sorted(result.accepted.action.score_earned for result in results) == [10] * 7 + [110] * 5


async def test_requirements_look_at_the_users_own_past(ledger: Ledger) -> None:
    await set_rules(ledger.pool, "quiz", requires=[{"action_type": "lesson", "count": 2}])
    await ledger.catalogue.refresh()
    assert codes([await ledger.complete(1, "q1", "quiz")]) == ["requirement_missing"]
    await ledger.complete(1, "l1")
    await ledger.complete(1, "l2")
    assert codes([await ledger.complete(1, "q1", "quiz")]) == ["ok"]
    assert codes([await ledger.complete(2, "q1", "quiz")]) == ["requirement_missing"]


async def test_points_of_a_day_are_capped_over_all_types(ledger: Ledger) -> None:
    """The action that would pass the cap is refused whole; what is left can still be earned by a smaller one."""
    await ledger.pool.execute("UPDATE boards SET daily_points_cap = 40 WHERE is_default")
    await set_rules(ledger.pool, "quiz")
    await ledger.catalogue.refresh()
    results = [await ledger.complete(1, f"q{n}", "quiz") for n in range(2)]
    results.append(await ledger.complete(1, "l1"))
    results.append(await ledger.complete(1, "l2"))
    assert codes(results) == ["ok", "daily_points_reached", "ok", "daily_points_reached"]
    assert codes([await ledger.complete(2, "q", "quiz")]) == ["ok"]


async def test_the_points_of_a_day_are_not_passed_by_two_processes_at_once(pool: Pool) -> None:
    """Fifty requests of one user, on both, with two types: as many count as the board allows."""
    await add_users(pool, 1)
    await pool.execute("UPDATE boards SET daily_points_cap = 70 WHERE is_default")
    await pool.execute("UPDATE action_types SET scoring_rules = '{}', base_score = 10 WHERE name = 'quiz'")
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        results = await asyncio.gather(
            *((one, other)[n % 2].complete(1, f"a-{n}", ("lesson", "quiz")[n // 2 % 2]) for n in range(50))
        )
    assert sorted(codes(results)) == ["daily_points_reached"] * 43 + ["ok"] * 7
    assert await pool.fetchval("SELECT current_score FROM users WHERE id = 1") == 70


async def test_counters_survive_in_the_ledger(pool: Pool) -> None:
    """A second process goes on counting where the first one stopped."""
    await add_users(pool, 1)
    await set_rules(pool, "lesson", hour_cap=2)
    async with running_ledger(pool) as first:
        await first.complete(1, "a")
    async with running_ledger(pool) as second:
        results = [await second.complete(1, name) for name in ("b", "c")]
    assert codes(results) == ["ok", "hour_cap_reached"]
