"""Changes on one node show on the others at once: by the bus, not by the next poll."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
from tests.live.screens import score_of, watching
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.web.admin import call, of_role

from laurels import background
from laurels.config import Settings


@pytest.fixture
async def pair(
    settings: Settings, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[InProcessNode, InProcessNode]]:
    """Two nodes on one ledger and one Redis, which would read the journal by themselves once an hour."""
    monkeypatch.setattr(background, "JOURNAL_SECONDS", 3_600.0)
    settings = replace(settings, redis_url=redis_server.url)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_node(settings))
        second = await stack.enter_async_context(running_node(settings))
        for node in (first, second):
            await eventually(partial(_is_up, node), bool)
        yield first, second


async def _is_up(node: InProcessNode) -> bool:
    assert node.parts.bus is not None
    return node.parts.bus.is_up


async def test_a_changed_type_is_known_to_the_other_node(pair: tuple[InProcessNode, InProcessNode]) -> None:
    first, second = pair
    admin = await of_role(first, "admin")
    player = await second.token()
    body = {"name": "marathon", "base_score": 42}
    status, _ = await call(first, "POST", "/api/admin/action-types", admin, body)
    assert status == 201
    await eventually(lambda: second.complete(player, "m-1", "marathon"), lambda answer: answer[0] in (200, 201))


async def test_a_screen_on_one_node_sees_what_the_other_committed(pair: tuple[InProcessNode, InProcessNode]) -> None:
    first, second = pair
    player = await first.register("bus-rider")
    async with watching(second) as screen:
        await screen.next_board()
        status, receipt = await first.complete(player["access_token"], "x-1")
        assert status == 201
        await screen.until(lambda board: score_of(board, "bus-rider") is not None)
    assert receipt["rank"] == 1
