"""Retries by the edge when a node dies during a request: actions, which count once, and no other writes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from tests.edge.conftest import Edge

NODES = 24
"""More than there are requests that fail: a node that died under one is not asked for a second."""
ONCE = [
    ("POST", "/api/auth/refresh", {}),
    ("POST", "/api/auth/register", {}),
    ("POST", "/api/auth/login", {}),
    ("POST", "/api/auth/logout-everywhere", {}),
    ("POST", "/api/me/password", {}),
    ("POST", "/api/actions/start", {}),
    ("POST", "/api/admin/keys", {}),
    ("POST", "/api/admin/keys/1/rotate", {}),
    ("POST", "/api/admin/users/1/adjust", {}),
    ("PATCH", "/api/admin/settings", {}),
    ("DELETE", "/api/me", {}),
    ("POST", "/api/server/actions/complete", {"Laurels-Signature": "k=1,t=1,n=abcdefghijklmnop,v1=00"}),
    ("POST", "/api/server/actions/batch", {"Laurels-Signature": "k=1,t=1,n=abcdefghijklmnop,v1=00"}),
]
AGAIN = [
    ("POST", "/api/actions/complete", {}),
    ("POST", "/api/actions/batch", {}),
    ("POST", "/api/server/actions/complete", {"Authorization": "Bearer lk_1"}),
    ("POST", "/api/server/actions/batch", {"Authorization": "Bearer lk_1"}),
    ("GET", "/api/me", {}),
    ("GET", "/api/scoreboard", {}),
]


@dataclass
class Nodes:
    """Servers that read a request and die under it the first time; `sent` counts how often each came."""

    edge: Edge
    sent: Counter[str] = field(default_factory=Counter)


@pytest.fixture
async def nodes(open_edge: Callable[..., Edge]) -> AsyncIterator[Nodes]:
    sent: Counter[str] = Counter()

    async def die_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.split("\r\n")
        length = next((int(text.split(":")[1]) for text in fields if text.lower().startswith("content-length:")), 0)
        await reader.readexactly(length)
        sent[line] += 1
        if sent[line] > 1 or line.startswith("GET /livez"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    servers = [await asyncio.start_server(die_once, "127.0.0.1", 0) for _ in range(NODES)]
    places = [f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
    yield Nodes(await asyncio.to_thread(open_edge, places), sent)
    for server in servers:
        server.close()


async def ask(nodes: Nodes, method: str, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """(status, how often a node was sent the request)."""
    fields = headers | {"Content-Type": "application/json"}
    body = None if method == "GET" else b"{}"
    reply = await asyncio.to_thread(nodes.edge.request, method, path, fields, body)
    return reply.status, nodes.sent[f"{method} {path} HTTP/1.1"]


async def test_what_may_have_been_carried_out_is_not_sent_again(nodes: Nodes) -> None:
    """The client gets `outcome_unknown` and instructions."""
    nodes.sent.clear()
    for method, path, headers in ONCE:
        assert await ask(nodes, method, path, headers) == (503, 1), (method, path)
        nodes.sent.clear()


async def test_what_counts_once_is_asked_of_the_next_node(nodes: Nodes) -> None:
    nodes.sent.clear()
    for method, path, headers in AGAIN:
        assert await ask(nodes, method, path, headers) == (200, 2), (method, path)
        nodes.sent.clear()
