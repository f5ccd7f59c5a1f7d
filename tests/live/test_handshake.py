"""Handshakes are validated before they hold anything, and a connection that is gone holds nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from functools import partialmethod
from typing import Any

import pytest
from tests.live.raw_websocket import frame, raw_socket, text
from tests.live.screens import HANDSHAKE, PATIENCE
from tests.support.issuer import Issuer, published
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.raw_http import connected, exchange

from laurels.config import Settings
from laurels.live.protocol import Close
from laurels.web.auth.access_tokens import Principal
from laurels.web.auth.authenticate import Authenticator


def with_origin(*origins: str) -> bytes:
    lines = b"".join(b"Origin: %b\r\n" % origin.encode("latin-1") for origin in origins)
    return HANDSHAKE.removesuffix(b"\r\n") + lines + b"\r\n"


@pytest.mark.parametrize(
    "origins",
    [
        ["http://["],
        ["http://]"],
        ["http://[::1"],
        ["http://a[b]c"],
        ["https://stranger.example/path"],
        ["https://user@stranger.example"],
        ["https://a.example:port"],
        ["https://a b"],
        ["://a"],
        ["stranger.example"],
        [""],
        ["http://\xff\xfe["],
        ["https://one.example", "https://two.example"],
    ],
)
async def test_what_is_no_origin_is_refused_and_holds_nothing(settings: Settings, origins: list[str]) -> None:
    async with running_node(dataclasses.replace(settings, sockets_per_address=2)) as node:
        for _ in range(5):
            reply = await exchange(node.url, with_origin(*origins))
            assert (reply.status, reply.json()["code"]) == (400, "malformed_request")
        assert node.services.hub.connection_limits.acquired == 0
        async with raw_socket(node) as raw:
            await raw.said("hello")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "file://",
        "https://stranger.example",
        "https://stranger.example:8443",
        "http://[2001:db8::1]:8000",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
        "https://münchen.example",
    ],
)
async def test_pages_of_any_origin_may_watch(node: InProcessNode, origin: str) -> None:
    token = await node.token("ada")
    async with raw_socket(node, head=with_origin(origin)) as raw:
        await raw.flood(text(type="subscribe", channel="board:points"))
        await raw.said("board")
        await raw.flood(text(type="authenticate", token=token))
        assert (await raw.said("error"))["code"] == "origin_not_allowed"


@pytest.mark.parametrize("declared", [b"Content-Length: 21", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_handshake_with_a_body_is_refused(node: InProcessNode, declared: bytes, at_once: bool) -> None:
    """Its bytes are neither frames nor a request of their own, whenever they arrive."""
    head = HANDSHAKE.removesuffix(b"\r\n") + declared + b"\r\n\r\n"
    body = text(type="ping")[:21].ljust(21, b"x") if declared.startswith(b"Content") else b"1\r\nx\r\n0\r\n\r\n"
    async with connected(node.url) as wire:
        wire.send(head + body if at_once else head)
        reply = await wire.reply()
        assert (reply.status, reply.json()["code"]) == (400, "malformed_request")
        if not at_once:
            wire.send(body)
        if reply.headers.get("connection") == "close":
            assert await wire.ended()
        else:
            wire.send(b"GET /livez HTTP/1.1\r\nHost: laurels.test\r\n\r\n")
            assert (await wire.reply()).status == 200
    assert node.services.hub.connection_limits.acquired == 0


async def test_a_handshake_may_say_that_its_body_is_empty(node: InProcessNode) -> None:
    async with raw_socket(node, head=HANDSHAKE.removesuffix(b"\r\n") + b"Content-Length: 0\r\n\r\n") as raw:
        await raw.said("hello")


class HeldLookUp:
    """The look-up of an external user: `asked` once it begins, answered when the test sets `answer`."""

    def __init__(self, look_up: Callable[..., Awaitable[Principal]]) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self._look_up = look_up

    async def __call__(self, *arguments: Any) -> Principal:
        self.asked.set()
        await self.answer.wait()
        return await self._look_up(*arguments)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldLookUp:
    held = HeldLookUp(Authenticator.external_user_of)
    monkeypatch.setattr(Authenticator, "external_user_of", partialmethod(held))
    return held


async def test_a_client_that_leaves_while_its_issuer_is_asked_holds_nothing(
    settings: Settings, held: HeldLookUp
) -> None:
    async with published(Issuer()) as issuer:
        known = dataclasses.replace(settings, issuers=json.dumps([issuer.settings()]), sockets_per_user=1)
        async with running_node(known) as node:
            async with raw_socket(node, text(type="authenticate", token=issuer.token())):
                await asyncio.wait_for(held.asked.wait(), PATIENCE)
            (connection,) = node.services.hub._connections
            connection.abort(Close.SILENT)  # as it is when the next ping is not answered
            await eventually(lambda: _sockets(node), (0).__eq__)
            held.answer.set()
            # The same user again: the one socket that a user may have here is free.
            async with raw_socket(node, text(type="authenticate", token=issuer.token())) as raw:
                await raw.said("authenticated")
                await raw.flood(frame(0x88))
                await raw.ended()
            await eventually(lambda: _sockets(node), (0).__eq__)
            assert not node.services.hub.connection_limits._users


async def _sockets(node: InProcessNode) -> int:
    return len(node.services.hub)


async def test_frames_wait_in_order_while_an_issuer_is_asked(settings: Settings, held: HeldLookUp) -> None:
    async with published(Issuer()) as issuer:
        known = dataclasses.replace(settings, issuers=json.dumps([issuer.settings()]))
        async with running_node(known) as node:
            pings = [text(type="ping", id=n) for n in range(20)]
            async with raw_socket(node, text(type="authenticate", token=issuer.token()) + pings[0]) as raw:
                await asyncio.wait_for(held.asked.wait(), PATIENCE)
                await raw.flood(b"".join(pings[1:]))
                held.answer.set()
                await raw.said("authenticated")
                assert [(await raw.said("pong"))["id"] for _ in pings] == list(range(20))
