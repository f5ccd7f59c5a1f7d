"""Log-ins leave a trace: in the log and in the audit trail, bounded, without names or secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog
from tests.support.node import PASSWORD, InProcessNode
from tests.web.admin import call

from laurels.app import login_audit
from laurels.domain.errors import LaurelsError
from laurels.ledger.accounts import sanctions
from laurels.ledger.events.audit import SYSTEM

OURS = "a-trace-of-ours-1"


async def login(node: InProcessNode, username: str, password: str = PASSWORD, **headers: str) -> tuple[int, str]:
    """(status, the request id that the caller received)."""
    body = {"username": username, "password": password}
    async with node.http.post(f"{node.url}/api/auth/login", json=body, headers=headers) as reply:
        return reply.status, reply.headers["X-Request-ID"]


async def trail(node: InProcessNode) -> list[dict[str, Any]]:
    rows = await node.services.pool.fetch("SELECT * FROM audit WHERE act LIKE 'login.%' ORDER BY id")
    return [dict(row) | {"after": json.loads(row["after"])} for row in rows]


async def test_a_login_is_audited_with_its_address_and_account(node: InProcessNode) -> None:
    user = (await node.register("ada"))["user"]
    status, request_id = await login(node, "ada")
    assert status == 200
    (entry,) = await trail(node)
    assert (entry["act"], entry["actor"], entry["subject"]) == ("login.succeeded", f"user:{user['id']}", entry["actor"])
    assert (entry["after"], entry["request_id"]) == ({"address": "127.0.0.1"}, request_id)


async def test_a_failed_login_is_audited_by_account_or_by_digest(node: InProcessNode) -> None:
    """Unknown names are not written, because people type passwords there."""
    user = (await node.register("ada"))["user"]
    for name in ("ada", "Hunter2-is-my-password"):
        assert (await login(node, name, "wrong"))[0] == 401
    known, unknown = await trail(node)
    assert (known["act"], known["actor"], known["subject"]) == ("login.failed", "anonymous", f"user:{user['id']}")
    assert unknown["subject"] == f"name:{node.services.tokens.digest('hunter2-is-my-password')}"
    assert known["after"] == unknown["after"] == {"address": "127.0.0.1", "attempts": 1}
    everything = await node.services.pool.fetchval("SELECT string_agg(a::text, '') FROM audit a")
    assert "unter2" not in everything
    assert "wrong name or password" in everything


async def test_a_banned_user_and_a_guess_with_a_token_are_audited(node: InProcessNode) -> None:
    tokens = await node.register("ada")
    body = {"username": "ada", "password": "a guess"}
    assert (await call(node, "DELETE", "/api/me", tokens["access_token"], body))[0] == 401
    await sanctions.ban(node.services.pool, SYSTEM, tokens["user"]["id"], None)
    assert (await login(node, "ada"))[0] == 403
    reasons = [entry["reason"] for entry in await trail(node)]
    assert reasons == ["wrong password with a token"], "the same account and address within a minute is counted"
    await node.services.login_audit.flush()
    assert [entry["after"]["attempts"] for entry in await trail(node)] == [1, 1]


async def test_the_request_id_is_the_nodes_own(node: InProcessNode) -> None:
    """A caller may choose an id for traces; it is logged beside, and can't be passed off as ours."""
    await node.register("ada")
    with structlog.testing.capture_logs() as logged:
        for _ in range(2):
            assert (await login(node, "ada", **{"X-Request-ID": OURS})) == (200, OURS)
    ids = [entry["request_id"] for entry in await trail(node)]
    assert len(set(ids)) == 2
    assert OURS not in ids
    lines = [line for line in logged if line["event"] == "login succeeded"]
    assert [line["request_id"] for line in lines] == ids
    assert {line["client_request_id"] for line in lines} == {OURS}


async def test_a_spray_writes_a_bounded_number_of_rows(node: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row for the first try of an account and address, one for all others of a minute, one for the rest."""
    monkeypatch.setattr(login_audit, "PAIRS", 3)
    for _ in range(3):
        for name in ("one", "two", "three", "four", "five"):
            await login(node, name, "wrong")
    assert len(await trail(node)) == 3
    await node.services.login_audit.flush()
    entries = await trail(node)
    assert [entry["after"]["attempts"] for entry in entries] == [1, 1, 1, 2, 2, 2, 6]
    assert entries[-1]["subject"] == "many"
    await node.services.login_audit.flush()
    assert len(await trail(node)) == 7


async def test_every_login_is_in_the_log(node: InProcessNode) -> None:
    user = (await node.register("ada"))["user"]
    with structlog.testing.capture_logs() as logged:
        await login(node, "ada")
        for _ in range(3):
            await login(node, "ada", "wrong")
    told = [(line["event"], line["account"], line["address"]) for line in logged if line["event"].startswith("login")]
    me = f"user:{user['id']}"
    assert told == [("login succeeded", me, "127.0.0.1")] + [("login failed", me, "127.0.0.1")] * 3
    assert PASSWORD not in str(logged)


async def test_what_can_not_be_written_now_is_written_with_the_next_flush(node: InProcessNode) -> None:
    """A locked table stands for a database that is away: no failed log-in is lost."""
    pool = node.services.pool
    assert (await login(node, "ada", "wrong"))[0] == 401
    assert (await login(node, "ada", "wrong"))[0] == 401
    async with pool.acquire() as other, other.transaction():
        await other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await other.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        assert (await login(node, "eve", "wrong"))[0] == 503
        with pytest.raises(LaurelsError):
            await node.services.login_audit.flush()
    await node.services.login_audit.flush()
    assert [entry["after"]["attempts"] for entry in await trail(node)] == [1, 1, 1]
    await node.services.login_audit.flush()
    assert len(await trail(node)) == 3
