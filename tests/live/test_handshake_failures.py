"""A failure at any point of opening a live connection leaves nothing held.

A failure is injected at each call in turn that the handshake makes, of our functions and of the libraries' alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from tests.live.raw_websocket import text
from tests.live.screens import HANDSHAKE, PATIENCE
from tests.support.node import InProcessNode
from tests.support.polling import eventually

import laurels
from laurels import telemetry
from laurels.live import client_connection
from laurels.web.realtime.sse import events
from laurels.web.realtime.upgrade import live

SOURCES = str(Path(laurels.__file__).parent) + os.sep
EVENTS = b"GET /api/live/events%b HTTP/1.1\r\nHost: laurels.test\r\n%b\r\n"


@dataclass
class Injection:
    """Raises at the `at`-th call below a frame that runs `root`; `fired` says which call that was."""

    root: CodeType
    at: int
    fired: str = ""
    _count: int = field(default=0)

    def __call__(self, caller: FrameType, event: str, argument: Any) -> None:
        if self.fired or event not in ("call", "c_call") or not self._is_ours(caller, event):
            return
        self._count += 1
        if self._count == self.at:
            name = caller.f_code.co_qualname if event == "call" else argument.__qualname__
            self.fired = f"{name} of {caller.f_code.co_filename.removeprefix(SOURCES)}:{caller.f_lineno}"
            raise Injected(self.fired)

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Say which call failed when what follows does not hold."""
        try:
            yield
        except (AssertionError, TimeoutError) as error:
            error.add_note(f"after a failure of {self.fired}")
            raise

    def _is_ours(self, caller: FrameType, event: str) -> bool:
        calls = caller.f_back if event == "call" else caller
        if calls is None or not calls.f_code.co_filename.startswith(SOURCES):
            return False
        code = caller.f_code
        if event == "call" and (code.co_filename == socket.__file__ or code.co_flags & inspect.CO_GENERATOR):
            return False  # called by uvloop in the middle of a function of its own; a generator that is closed
        return any(one.f_code is self.root for one in _stack(calls))


class Injected(Exception):
    pass


def _stack(top: FrameType) -> Iterator[FrameType]:
    one: FrameType | None = top
    while one is not None:
        yield one
        one = one.f_back


@contextlib.contextmanager
def injected(root: CodeType, at: int) -> Iterator[Injection]:
    injection = Injection(root, at)
    sys.setprofile(injection)
    try:
        yield injection
    finally:
        sys.setprofile(None)


@dataclass(frozen=True)
class Held:
    connections: int
    connection_limits: int
    addresses: int
    users: int
    gauge: float


async def held(node: InProcessNode) -> Held:
    connection_limits = node.services.hub.connection_limits
    gauge = telemetry.REGISTRY.get_sample_value("laurels_live_sockets") or 0
    return Held(
        len(node.services.hub),
        connection_limits.acquired,
        len(connection_limits._addresses),
        len(connection_limits._users),
        gauge,
    )


async def opened(node: InProcessNode, request: bytes) -> None:
    """Send a request that opens a connection, and close it as soon as something came or it ended."""
    place = urlsplit(node.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            await reader.read(65_536)
    writer.transport.abort()


def with_token(handshake: bytes, token: str) -> bytes:
    offer = f"Sec-WebSocket-Protocol: laurels.v1, laurels.token.{token}\r\n\r\n"
    return handshake.removesuffix(b"\r\n") + offer.encode()


def requests(token: str) -> dict[str, tuple[CodeType, bytes]]:
    bearer = f"Authorization: Bearer {token}\r\n".encode()
    subscribe = text(type="subscribe", channel="board:points")
    return {
        "websocket": (live.__code__, HANDSHAKE),
        "websocket with a token": (live.__code__, with_token(HANDSHAKE, token)),
        "websocket that speaks at once": (
            live.__code__,
            HANDSHAKE + text(type="authenticate", token=token) + text(type="subscribe", channel="me") + subscribe,
        ),
        "board events": (events.__code__, EVENTS % (b"", b"")),
        "own events": (events.__code__, EVENTS % (b"?channel=me", bearer)),
    }


@pytest.mark.parametrize("kind", requests(""))
async def test_a_failure_at_any_step_leaves_nothing_held(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.02)
    with structlog.testing.capture_logs():  # a traceback for each would be rendered
        await _fail_at_each_step(node, kind)


async def _fail_at_each_step(node: InProcessNode, kind: str) -> None:
    root, request = requests(await node.token("ada"))[kind]
    nothing = await held(node)
    await opened(node, request)  # whatever is remembered of a first time
    await eventually(lambda: held(node), nothing.__eq__, within=PATIENCE)
    for at in itertools.count(1):
        with injected(root, at) as injection, injection.named():
            await opened(node, request)
        with injection.named():
            await eventually(lambda: held(node), nothing.__eq__, within=PATIENCE)
        if not injection.fired:
            break
    assert at > 40, "hardly a step was reached"
    assert (await node.get("/livez"))[0] == 200
