"""A node of one role does its part, and refuses the rest by name."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest
from tests.support.node import PASSWORD, running_node
from tests.support.polling import eventually

from laurels.config import Settings
from laurels.domain.actions import Submission
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db.pool import Pool

LOGIN = {"username": "stranger", "password": PASSWORD}


@pytest.mark.parametrize(
    ("role", "board", "write", "socket"),
    [("all", 200, 401, True), ("api", 200, 401, False), ("live", 200, 421, True), ("worker", 421, 421, False)],
)
async def test_each_role_serves_its_part(settings: Settings, role: str, board: int, write: int, socket: bool) -> None:
    """Health and metrics everywhere; what belongs to another role is 421 with the code `misdirected`."""
    async with running_node(replace(settings, role=role)) as node:
        assert (await node.get("/readyz"))[0] == 200
        assert (await node.get("/api/scoreboard"))[0] == board
        status, problem = await node.post("/api/auth/login", LOGIN)
        assert status == write
        assert status != 421 or problem["code"] == "misdirected"
        assert await _opens(node.http, node.url) == socket


async def _opens(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.ws_connect(f"{url}/api/live"):
            return True
    except aiohttp.WSServerHandshakeError:
        return False


async def test_health_has_a_port_of_its_own_when_asked(settings: Settings, unused_tcp_port: int) -> None:
    async with running_node(replace(settings, metrics_port=unused_tcp_port)) as node:
        own = f"http://127.0.0.1:{unused_tcp_port}"
        async with node.http.get(f"{own}/metrics") as reply:
            assert "laurels_ready" in await reply.text()
        async with node.http.get(f"{own}/api/scoreboard") as reply:
            assert reply.status == 404


async def test_a_gateway_holds_no_connection_for_writing(settings: Settings) -> None:
    """Its work beside requests gives its connections back; an action sent over its socket is refused."""
    async with running_node(replace(settings, role="live")) as node:
        pool = node.services.pool
        await eventually(lambda: _in_use(pool), lambda used: used == 0)
        with pytest.raises(LaurelsError) as refused:
            await node.services.writer.submit([Submission(1, "lesson", "x-1")])
        assert refused.value.code is Code.MISDIRECTED


async def _in_use(pool: Pool) -> int:
    return pool.get_size() - pool.get_idle_size()
