"""Log-ins that end at the same time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.support.polling import eventually

from laurels.ledger.accounts import sessions
from laurels.ledger.accounts.accounts import Accounts
from laurels.ledger.accounts.sessions import Lifetimes, LoginSession, Sessions
from laurels.ledger.db.pool import Pool

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LIFE = Lifetimes(timedelta(days=1), timedelta(minutes=5))


async def test_a_log_out_and_a_log_out_everywhere_do_not_deadlock(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the log-out ends all of the user, because too many ended: both lock the user first."""
    monkeypatch.setattr(sessions, "MAX_ENDED", 1)
    user = await pool.fetchval(
        "INSERT INTO users (username, username_fold, username_skeleton) VALUES ('ada', 'ada', 'ada') RETURNING id"
    )
    account = await Accounts(pool, uuid4()).by_id(user)
    logins = Sessions(pool)
    opened = [await logins.start(account, LIFE) for _ in range(3)]
    first, second, _ = [login for login in opened if isinstance(login, LoginSession)]
    assert await logins.end(first.refresh_token)
    async with pool.acquire() as everywhere, everywhere.transaction():
        await everywhere.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", user)  # as end_all begins
        ending = asyncio.create_task(logins.end(second.refresh_token))
        await eventually(lambda: pool.fetchval(_WAITING), lambda count: count == 1)
        await sessions.end_all(everywhere, user)
    assert await ending is False, "it had ended with all others"
