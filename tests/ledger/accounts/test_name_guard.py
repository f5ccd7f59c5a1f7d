"""Names near operators' names, and the keys of names that are older than the keys."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from laurels.domain.errors import Code, LaurelsError
from laurels.domain.names import Name, name_of, parse_name, similar_keys
from laurels.ledger.accounts import erasure, name_keys
from laurels.ledger.accounts.accounts import Accounts
from laurels.ledger.accounts.name_guard import NameGuard
from laurels.ledger.accounts.user_editor import UserEditor
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import Actor

MACHINE = Actor("operator:test")


@pytest.fixture
def accounts(pool: Pool) -> Accounts:
    return Accounts(pool, uuid4(), NameGuard(similar_keys(["support"])))


@pytest.fixture
def editor(pool: Pool) -> UserEditor:
    return UserEditor(pool, uuid4())


async def made(accounts: Accounts, username: str, role: str = "player", **how: Any) -> int:
    return (await accounts.create(parse_name(username), None, "x", role, **how)).id


async def refused(work: Any) -> Code:
    with pytest.raises(LaurelsError) as error:
        await work
    return error.value.code


async def test_no_operator_is_made_whom_others_could_be_taken_for(accounts: Accounts, editor: UserEditor) -> None:
    """Until the operator who asks allows it: the refusal names the others."""
    amo, arno = await made(accounts, "Amo"), await made(accounts, "Arno")
    with pytest.raises(LaurelsError) as error:
        await editor.set_role(amo, "admin", MACHINE)
    assert error.value.code is Code.NAME_SIMILAR
    assert f"'Arno' (id {arno})" in error.value.detail
    assert (await editor.get(amo)).role == "player"
    assert (await editor.set_role(amo, "moderator", MACHINE, allow_similar=True)).role == "moderator"
    # An operator already, whose name has been allowed: what is changed next asks nothing more.
    assert (await editor.set_role(amo, "admin", MACHINE)).role == "admin"


async def test_an_erased_look_alike_blocks_no_name(accounts: Accounts, editor: UserEditor, pool: Pool) -> None:
    amo, arno = await made(accounts, "Amo"), await made(accounts, "Arno")
    await erasure.erase(pool, MACHINE, arno, "x")
    assert (await editor.set_role(amo, "admin", MACHINE)).role == "admin"


async def test_accounts_made_by_operators_follow_the_same_rule(accounts: Accounts) -> None:
    """A new operator next to players, a new player next to an operator or the list: refused, unless it is allowed."""
    await made(accounts, "Arno")
    assert await refused(made(accounts, "Amo", "admin")) is Code.NAME_SIMILAR
    await made(accounts, "Amo", "admin", allow_similar=True)
    assert await refused(made(accounts, "Am0")) is Code.USERNAME_TAKEN
    assert await refused(made(accounts, "Supp0rt")) is Code.USERNAME_TAKEN
    await made(accounts, "Supp0rt", allow_similar=True)


async def test_who_comes_from_outside_gets_no_operators_look(accounts: Accounts) -> None:
    """The name as wanted is similar to an operator's: the next one is tried."""
    await made(accounts, "Amo", "admin")
    names = [parse_name("Arno"), parse_name("Arno-1f2e")]
    opened = await accounts.open_external_account("issuer", "subject", 0, names)
    assert opened is not None
    assert opened.account.username == "Arno-1f2e"


async def test_a_promotion_and_a_registration_do_not_overlook_each_other(
    accounts: Accounts, editor: UserEditor, pool: Pool
) -> None:
    """At the same moment: one of them is refused, in either order."""
    for number in range(10):
        operator, twin = f"Amo {number}", f"Arno {number}"
        user_id = await made(accounts, operator)
        answers = await asyncio.gather(
            editor.set_role(user_id, "moderator", MACHINE), made(accounts, twin), return_exceptions=True
        )
        codes = [answer.code for answer in answers if isinstance(answer, LaurelsError)]
        assert len(codes) == 1, answers
        assert codes[0] in (Code.NAME_SIMILAR, Code.USERNAME_TAKEN)


async def test_of_two_who_take_one_name_at_once_one_gets_it(accounts: Accounts) -> None:
    """Also when one of them becomes an operator with it: there is no deadlock."""
    for number in range(10):
        name = f"same {number}"
        answers = await asyncio.gather(made(accounts, name), made(accounts, name, "admin"), return_exceptions=True)
        codes = [answer.code for answer in answers if isinstance(answer, LaurelsError)]
        assert codes == [Code.USERNAME_TAKEN], answers


async def old_row(pool: Pool, username: str, fold: str, skeleton: str) -> int:
    """As versions wrote it that did not compute the newest key."""
    return int(
        await pool.fetchval(
            "INSERT INTO users (username, username_fold, username_skeleton, role) VALUES ($1, $2, $3, 'player') "
            "RETURNING id",
            username,
            fold,
            skeleton,
        )
    )


async def stored(pool: Pool, user_id: int) -> Name:
    row = await pool.fetchrow(
        "SELECT username, username_fold, username_skeleton, username_similar FROM users WHERE id = $1", user_id
    )
    return Name(*row.values())


async def test_names_that_were_there_before_keep_their_accounts(pool: Pool) -> None:
    """Keys are computed once; where two names have become the same the later account gets a mark, and stays."""
    arno, ada = await old_row(pool, "Arno", "arno", "arno"), await old_row(pool, "ada", "ada", "ada")
    hidden = await old_row(pool, "ad\u034fa", "ad\u034fa", "ad\u034fa")
    long = "x" * 31
    first = await old_row(pool, long[1:] + "y", "1", "1")
    second = await old_row(pool, long[1:16] + "\ufe0f" + long[16:] + "y", "2", "2")
    odd = await old_row(pool, "o\u0488\u0488\u0488dd", "odd", "odd")  # breaks a rule of today
    assert await name_keys.refresh(pool) >= 6
    assert await name_keys.refresh(pool) == 0
    for user_id, username in ((arno, "Arno"), (ada, "ada"), (first, long[1:] + "y"), (odd, "o\u0488\u0488\u0488dd")):
        assert await stored(pool, user_id) == name_of(username)
    renamed = await stored(pool, hidden)
    assert renamed.display == f"ad\u034fa-{hidden}"
    assert renamed == name_of(renamed.display)
    assert (await stored(pool, second)).display.endswith(f"-{second}")
    assert len((await stored(pool, second)).display) <= 32


async def test_two_nodes_compute_the_keys_at_once(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO users (username, username_fold, username_skeleton) "
        "SELECT n, n, n FROM (SELECT 'Player ' || i AS n FROM generate_series(1, 2500) i) many"
    )
    done = await asyncio.gather(name_keys.refresh(pool), name_keys.refresh(pool))
    assert sum(done) >= 2500
    assert await pool.fetchval("SELECT count(*) FROM users WHERE username_similar IS NULL") == 0
    assert await pool.fetchval("SELECT username_fold FROM users WHERE username = 'Player 7'") == "player 7"
