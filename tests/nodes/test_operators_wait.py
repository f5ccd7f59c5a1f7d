"""Operators are answered in time too when the primary takes their connections and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.nodes.scenario import BOUND, SLACK
from tests.support.fault_proxy import FaultProxy
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.web.admin import call, of_role
from tests.web.api.test_admin_access import ADMIN, BODIES, target

from laurels.config import Settings
from laurels.domain.authorization import SCOPES
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool, acquire_per_statement
from laurels.web.pipeline.route import Route

NO_QUERY = {"list_settings", "get_stats", "set_user_role"}
"""Answered from memory; no key changes a role."""
LONG = {"verify_index", "rebuild_index"}
"""They read every standing: long work, which says how far it is."""


@pytest.fixture
async def wired(settings: Settings) -> AsyncIterator[tuple[InProcessNode, FaultProxy]]:
    """A node behind a wire that can go silent."""
    parts = urlsplit(settings.database_url)
    socket = Path(parse_qs(parts.query)["host"][0]) / f".s.PGSQL.{parse_qs(parts.query)['port'][0]}"
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(FaultProxy(socket).running())
        behind = f"postgresql://postgres@127.0.0.1:{wire.port}{parts.path}"
        node = await stack.enter_async_context(running_node(replace(settings, database_url=behind, pool_size=60)))
        yield node, wire
        wire.heal()


async def test_who_changes_or_reads_things_as_an_operator_is_told_in_time(
    wired: tuple[InProcessNode, FaultProxy],
) -> None:
    """All of them at once, on connections that are open already: 503, Retry-After, within two seconds."""
    node, wire = wired
    key = await _key(node)
    routes = [route for route in ADMIN if route.name not in NO_QUERY | LONG]
    pool = node.services.pool
    for connection in [await pool.acquire() for _ in range(len(routes) + 10)]:
        await pool.release(connection)
    wire.half_open = True
    told = await asyncio.gather(*(_ask(node, route, key) for route in routes))
    assert {name: status for name, status, _ in told if status != 503} == {}
    assert [name for name, _, retry in told if retry is None] == []
    wire.heal()
    await eventually(lambda: node.get("/api/admin/users", key), lambda answer: answer[0] == 200, within=10)


async def _key(node: InProcessNode) -> str:
    admin = await of_role(node, "admin")
    body = {"name": "ops", "scopes": list(SCOPES)}
    status, made = await call(node, "POST", "/api/admin/keys", admin, body)
    assert status == 201, made
    return str(made["api_key"])


async def _ask(node: InProcessNode, route: Route, key: str) -> tuple[str, int, str | None]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        asyncio.timeout(BOUND + SLACK),
        node.http.request(
            route.method, node.url + target(route), json=BODIES.get(route.name), headers=headers
        ) as reply,
    ):
        await reply.read()
        return route.name, reply.status, reply.headers.get("Retry-After")


async def test_long_work_is_cut_off_when_one_statement_says_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for being long: a correction reads all rows of its user."""
    monkeypatch.setattr(ledger_pool, "ANSWER_SECONDS", 0.5)
    async with acquire_per_statement(pool) as connection, connection.transaction():
        for _ in range(4):
            await connection.execute("SELECT pg_sleep(0.2)")
    with pytest.raises(LaurelsError) as refusal:
        async with asyncio.timeout(5), acquire_per_statement(pool) as connection, connection.transaction():
            await connection.execute("SELECT pg_sleep(60)")
    assert refusal.value.code is Code.DATABASE_UNAVAILABLE
