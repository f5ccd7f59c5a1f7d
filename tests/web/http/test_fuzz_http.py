"""Any bytes are answered or end the connection: never a 500, nothing logged as our failure, nothing left behind.

Seeded: the short form runs the same requests each time, the long one (`make test-slow`) others for each seed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as options
from hypothesis import strategies as st
from tests.support.http_fuzz import BODIES, HEADERS, HEADS, TOKEN, complaint, exchanged
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.raw_http import exchange, request

from laurels.config import Settings
from laurels.web.api.routes import ROUTES
from laurels.web.http.server import Runner
from laurels.web.pipeline.routing import application

TOGETHER = 40
"""Requests at once: most of what takes long is a deadline that is waited for."""
WHAT = {"heads": HEADS, "headers": HEADERS, "bodies": BODIES}


@dataclass
class Target:
    """A node whose bodies must arrive at once, and what went wrong in it."""

    node: InProcessNode
    runner: Runner
    token: bytes
    url: str
    failures: list[str] = field(default_factory=list)

    async def round(self, requests: list[tuple[bytes, int]]) -> None:
        await asyncio.gather(*(self._one(data.replace(TOKEN, self.token), cut) for data, cut in requests))
        assert (await exchange(self.url, request("GET", "/livez"))).status == 200

    async def _one(self, data: bytes, cut: int) -> None:
        wrong = complaint(data, await exchanged(self.url, data, cut))
        assert wrong is None, wrong

    async def left_over(self) -> tuple[int, int]:
        """Connections that are open, and sockets that are counted."""
        server = self.runner.server
        assert server is not None
        return len(server.connections), self.node.services.hub.connection_limits.acquired


@pytest.fixture
async def target(settings: Settings) -> AsyncIterator[Target]:
    proxied = replace(settings, trusted_proxies=1, origins="https://a.example", sockets_per_user=10_000)
    async with running_node(proxied) as node:
        pipeline = node.services.pipeline
        hasty = replace(pipeline, options=replace(pipeline.options, body_seconds=0.5))
        runner = Runner(*application(ROUTES, hasty, node.parts.contexts), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield Target(node, runner, (await node.token()).encode(), f"http://{host}:{port}")
        await runner.cleanup()


def _requests(what: str, count: int, number: int | None) -> list[tuple[bytes, int]]:
    """(bytes, where they are cut in two), the same for the same seed."""
    made: list[tuple[bytes, int]] = []

    @options(
        max_examples=count,
        deadline=None,
        derandomize=number is None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(WHAT[what], st.integers(0, 300)))
    def collect(one: tuple[bytes, int]) -> None:
        made.append(one)

    run: Callable[[], Any] = collect if number is None else seed(number)(collect)
    run()
    return made


async def _fuzz(target: Target, requests: list[tuple[bytes, int]], caplog: pytest.LogCaptureFixture) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: target.failures.append(str(context)))
    tasks = len(asyncio.all_tasks())
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.ERROR):
        for begin in range(0, len(requests), TOGETHER):
            await target.round(requests[begin : begin + TOGETHER])
        assert await eventually(target.left_over, lambda left: left == (0, 0), within=15) == (0, 0)
    await eventually(_tasks, lambda now: now <= tasks, within=15)
    assert target.failures == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert [line for line in lines if line["log_level"] == "error" and line["event"] != "request"] == []


async def _tasks() -> int:
    return len(asyncio.all_tasks())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", sorted(WHAT))
async def test_no_bytes_break_the_service(target: Target, what: str, caplog: pytest.LogCaptureFixture) -> None:
    await _fuzz(target, _requests(what, 400, None), caplog)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("what", sorted(WHAT))
async def test_no_bytes_break_the_service_for_long(
    target: Target, what: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    await _fuzz(target, _requests(what, 4_000, number), caplog)
