"""Beneath the application: our connections instead of aiohttp's, and the shortcuts past its resolver."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from .connection import HttpConnection, WriteCoalescer
from .router import Router

BODY_BUFFER = 64 * 1024
"""Bytes of a body that are read ahead of its handler; twice as many at most."""


class Runner(web.AppRunner):
    """An AppRunner whose connections speak problem+json to the end."""

    def __init__(self, app: web.Application, router: Router, **options: Any) -> None:
        # Bodies come as they were sent: see `bodies`. Lingering is ours: see `HttpConnection`.
        super().__init__(app, auto_decompress=False, lingering_time=0, read_bufsize=BODY_BUFFER, **options)
        self._shortcuts = router

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        options = made._kwargs  # noqa: SLF001  what the runner was given: it has no other name
        handler = _shortened(made.request_handler, self._shortcuts)
        return _Server(handler, request_factory=made.request_factory, **options)


def _shortened(resolve: Any, router: Router) -> Any:
    """What answers a request: no coroutine of its own, it hands on those of the endpoint or the resolver."""

    def handle(request: Any) -> Awaitable[web.StreamResponse]:
        request.protocol.flush()  # the reply before: whatever this one writes comes after it
        found = router.find(request)
        if found is None:
            if router.elsewhere is not None and not request.rel_url.raw_path.startswith("/"):
                return router.elsewhere(request)
            resolved: Awaitable[web.StreamResponse] = resolve(request)
            return resolved
        endpoint, in_path = found
        return endpoint(request, in_path)

    return handle


class _Server(web.Server):
    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._departures = WriteCoalescer(self._loop)

    def __call__(self) -> HttpConnection:
        return HttpConnection(self, self._departures, loop=self._loop, **self._kwargs)
