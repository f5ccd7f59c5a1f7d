"""Beneath the application: our connections instead of aiohttp's, and the shortcuts past its resolver."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from .connection import Departures, HttpConnection
from .shortcuts import Shortcuts

LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read and dropped, so that its sender gets to read the refusal."""


class Runner(web.AppRunner):
    """An AppRunner whose connections speak problem+json to the end."""

    def __init__(self, app: web.Application, shortcuts: Shortcuts, **options: Any) -> None:
        super().__init__(app, lingering_time=LINGER_SECONDS, **options)
        self._shortcuts = shortcuts

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        options = made._kwargs  # noqa: SLF001  what the runner was given: it has no other name
        handler = _shortened(made.request_handler, self._shortcuts)
        return _Server(handler, request_factory=made.request_factory, **options)


def _shortened(resolve: Any, shortcuts: Shortcuts) -> Any:
    """What answers a request: no coroutine of its own, it hands on those of the endpoint or the resolver."""

    def handle(request: Any) -> Awaitable[web.StreamResponse]:
        request.protocol.flush()  # the reply before: whatever this one writes comes after it
        found = shortcuts.find(request)
        if found is None:
            resolved: Awaitable[web.StreamResponse] = resolve(request)
            return resolved
        endpoint, in_path = found
        return endpoint(request, in_path)

    return handle


class _Server(web.Server):
    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._departures = Departures(self._loop)

    def __call__(self) -> HttpConnection:
        return HttpConnection(self, self._departures, loop=self._loop, **self._kwargs)
