"""The last active admin stays, in whatever way two leave at the same moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.accounts import erasure, sanctions
from laurels.ledger.accounts.user_editor import UserEditor
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import Actor

Way = Callable[[Pool, int, int], Awaitable[object]]
MACHINE = Actor("operator:test")
_numbers = itertools.count(1)


def person(user_id: int) -> Actor:
    return Actor(f"user:{user_id}")


WAYS: dict[str, Way] = {
    "ban": lambda pool, me, other: sanctions.ban(pool, person(me), other, "x"),
    "shadow": lambda pool, me, other: sanctions.shadow(pool, person(me), other, "x"),
    "demote": lambda pool, me, other: UserEditor(pool, uuid4()).set_role(other, "moderator", person(me)),
    "erase": lambda pool, me, other: erasure.erase(pool, person(me), other, "x"),
    "erase oneself": lambda pool, me, other: erasure.erase_own(pool, person(me), me, "x"),
    "the machine bans": lambda pool, me, other: sanctions.ban(pool, MACHINE, other, "x"),
    "the machine shadows": lambda pool, me, other: sanctions.shadow(pool, MACHINE, other, "x"),
    "the machine demotes": lambda pool, me, other: UserEditor(pool, uuid4()).set_role(other, "player", MACHINE),
    "the machine erases": lambda pool, me, other: erasure.erase(pool, MACHINE, other, "x"),
}
"""How `me` takes an admin out of office."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests the winner, not how long the loser may wait on a busy machine."""
    monkeypatch.setattr(ledger_pool, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(ledger_pool.acquire_within.__wrapped__, "__defaults__", (60.0,))  # type: ignore[attr-defined]


async def remove(pool: Pool, way: str, removed: int, other: int) -> object:
    """Take `removed` out of office in one of the ways."""
    me, them = (removed, other) if way == "erase oneself" else (other, removed)
    return await WAYS[way](pool, me, them)


async def two_admins(pool: Pool) -> list[int]:
    """Two active admins, and no other user with the role."""
    await pool.execute("UPDATE users SET role = 'player'")
    names = [f"admin-{next(_numbers)}" for _ in range(2)]
    statement = (
        "INSERT INTO users (username, username_fold, username_skeleton, role) "
        "SELECT n, n, n, 'admin' FROM unnest($1::text[]) n RETURNING id"
    )
    return [row["id"] for row in await pool.fetch(statement, names)]


async def active_admins(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'"))


@pytest.mark.parametrize("first", WAYS)
async def test_of_two_who_leave_at_once_one_stays(pool: Pool, database_url: str, first: str) -> None:
    """On two nodes, each way against each: at most one succeeds, the other gets the reason."""
    other_pool = await ledger_pool.connect(database_url, size=4)
    for second in WAYS:
        one, two = await two_admins(pool)
        removals = [remove(pool, first, two, one), remove(other_pool, second, one, two)]
        answers = await asyncio.gather(*removals, return_exceptions=True)
        assert await active_admins(pool) == 1, (first, second, answers)
        (refused,) = [answer for answer in answers if isinstance(answer, BaseException)]
        assert isinstance(refused, LaurelsError), (first, second, refused)
        assert refused.code in (Code.LAST_ADMIN, Code.FORBIDDEN), (first, second)
    await other_pool.close()


@pytest.mark.parametrize("way", [name for name in WAYS if "machine" in name or "oneself" in name])
async def test_the_last_one_stays_in_every_way(pool: Pool, way: str) -> None:
    """Also the owner of the machine makes another admin first; a banned admin is no other."""
    one, two = await two_admins(pool)
    await sanctions.ban(pool, MACHINE, one, "x")
    with pytest.raises(LaurelsError) as refused:
        await remove(pool, way, two, one)
    assert refused.value.code is Code.LAST_ADMIN
    await sanctions.lift(pool, MACHINE, one, "x")
    await remove(pool, way, two, one)
    assert await active_admins(pool) == 1


async def test_twenty_who_leave_at_once_leave_one(pool: Pool) -> None:
    """All erase themselves."""
    await two_admins(pool)
    await pool.execute(
        "INSERT INTO users (username, username_fold, username_skeleton, role) "
        "SELECT n, n, n, 'admin' FROM (SELECT 'many-' || i AS n FROM generate_series(1, 18) i) many"
    )
    ids = [row["id"] for row in await pool.fetch("SELECT id FROM users WHERE role = 'admin'")]
    answers = await asyncio.gather(*(erasure.erase_own(pool, person(i), i, "x") for i in ids), return_exceptions=True)
    assert await active_admins(pool) == 1
    assert sorted(str(getattr(answer, "code", answer)) for answer in answers) == ["True"] * 19 + ["last_admin"]
