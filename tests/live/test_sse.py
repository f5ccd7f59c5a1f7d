"""Promises of GET /api/live/events: the same boards for clients that only listen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from tests.live.screens import applied, rows
from tests.support.node import InProcessNode
from tests.support.polling import eventually


class Listener:
    """Reads events; `last_id` as an EventSource keeps it."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply
        self.last_id = ""

    async def next(self) -> tuple[str, dict[str, Any]]:
        """(event, data) of the next event that has data."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(15):
            while True:
                line = (await self._reply.content.readuntil(b"\n")).decode().rstrip("\n")
                if not line and "data" in fields:
                    self.last_id = fields.get("id", self.last_id)
                    return fields["event"], json.loads(fields["data"])
                name, _, value = line.partition(": ")
                fields[name] = value


@contextlib.asynccontextmanager
async def listening(node: InProcessNode, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with node.http.get(f"{node.url}/api/live/events{query}", headers=named) as reply:
        assert (reply.status, reply.content_type) == (200, "text/event-stream"), await reply.text()
        yield Listener(reply)


async def test_a_board_comes_whole_and_then_changes(node: InProcessNode) -> None:
    token = await node.token("ada")
    async with listening(node, "?size=5") as listener:
        kind, board = await listener.next()
        assert (kind, board["rows"], listener.last_id) == ("board", [], board["version"])
        for n in range(3):
            await node.complete(token, f"a-{n}")
            kind, frame = await listener.next()
            board = frame if kind == "board" else applied(board, frame)
            assert rows(board) == [(1, "ada", 10 * (n + 1))]


async def test_it_resumes_by_the_last_event_id(node: InProcessNode) -> None:
    token = await node.token("ada")
    await node.complete(token, "a-1")
    async with listening(node) as listener:
        _, board = await listener.next()
    await node.complete(token, "a-2")
    async with listening(node, Last_Event_ID=board["version"]) as listener:
        kind, frame = await listener.next()
        assert frame["base"] == board["version"] if kind == "delta" else kind == "board"
        assert rows(applied(board, frame) if kind == "delta" else frame) == [(1, "ada", 20)]


async def test_me_needs_a_token_and_tells_my_places(node: InProcessNode) -> None:
    status, problem = await node.get("/api/live/events?channel=me")
    assert (status, problem["code"]) == (401, "token_missing")
    token = await node.token("ada")
    await node.complete(token, "a-1")
    async with listening(node, "?channel=me", Authorization=f"Bearer {token}") as listener:
        kind, me = await listener.next()
        assert (kind, me["boards"][0]["rank"]) == ("me", 1)


async def test_what_is_not_there_is_refused_before_the_stream(node: InProcessNode) -> None:
    for query, status, code in [
        ("?channel=board:nowhere", 404, "board_unknown"),
        ("?channel=me&size=3", 422, "invalid_request"),
        ("?size=101", 422, "invalid_request"),
    ]:
        assert await _refusal(node, query) == (status, code)


async def _refusal(node: InProcessNode, query: str) -> tuple[int, str]:
    status, problem = await node.get(f"/api/live/events{query}")
    return status, problem["code"]


async def test_a_stopping_node_says_when_to_come_back(node: InProcessNode) -> None:
    async with listening(node) as listener:
        await listener.next()
        node.stop.set()
        kind, drain = await listener.next()
        assert kind == "drain"
        assert drain["retry_ms"] > 0


async def test_who_hangs_up_is_forgotten(node: InProcessNode) -> None:
    async with listening(node) as listener:
        await listener.next()

    async def held() -> int:
        return node.services.hub.connection_limits.acquired

    await eventually(held, lambda taken: taken == 0)
