"""A node inside the test's own event loop, with a client that speaks to it over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from laurels import runtime
from laurels.config import Settings
from laurels.node import Node

STOP_SECONDS = 120.0
PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


class InProcessNode:
    """`url`, an open `http` session, the wired `parts`, and the calls that most tests make."""

    def __init__(self, url: str, http: aiohttp.ClientSession, parts: Node, stop: asyncio.Event) -> None:
        self.url = url
        self.http = http
        self.parts = parts
        self.services = parts.parts
        self.stop = stop

    async def register(self, username: str | None = None) -> Any:
        """The Tokens reply of a fresh account."""
        name = username or f"player-{next(_numbers)}"
        body = {"username": name, "password": PASSWORD}
        async with self.http.post(f"{self.url}/api/auth/register", json=body) as reply:
            assert reply.status == 201, await reply.text()
            return await reply.json()

    async def token(self, username: str | None = None) -> str:
        return str((await self.register(username))["access_token"])

    async def post(self, path: str, body: Any, token: str | None = None) -> tuple[int, Any]:
        """(status, decoded JSON)."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.post(self.url + path, json=body, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None) if reply.status != 204 else None

    async def get(self, path: str, token: str | None = None, **headers: str) -> tuple[int, Any]:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.http.get(self.url + path, headers=headers) as reply:
            text = await reply.read()
            return reply.status, (await reply.json(content_type=None) if text else None)

    async def complete(self, token: str, identifier: str, kind: str = "lesson", **more: Any) -> tuple[int, Any]:
        body = {"action_type": kind, "action_identifier": identifier, **more}
        return await self.post("/api/actions/complete", body, token)


@contextlib.asynccontextmanager
async def running_node(settings: Settings) -> AsyncIterator[InProcessNode]:
    """Start a node, hand it out, stop it in order; what it raises fails the test."""
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()

    def ready(address: str, node: Node) -> None:
        started.set_result((address, node))

    serving = asyncio.create_task(
        runtime.serve(settings, on_ready=lambda address, admin: None, on_node=ready, stop=stop)
    )
    await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    url, parts = started.result()
    async with aiohttp.ClientSession() as http:
        try:
            yield InProcessNode(url, http, parts, stop)
        finally:
            stop.set()
            async with asyncio.timeout(STOP_SECONDS):  # a stop that hangs fails the test, not the whole run
                await serving
