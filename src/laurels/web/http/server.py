"""aiohttp's server with connections of ours, and a router that comes before aiohttp's resolver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Mapping
from typing import Any

from aiohttp import web

from .aiohttp_private import ServerRunner
from .connection import HttpConnection, WriteCoalescer
from .router import Router

BODY_BUFFER = 64 * 1024
"""Bytes of a body that are read ahead of its handler; twice as many at most."""
BACKLOG = 2_048
"""Connections that the kernel accepts before the server does."""


class Runner(ServerRunner):
    """Runs an application on connections that answer every error as problem+json."""

    def __init__(self, app: web.Application, router: Router, **options: Any) -> None:
        # Bodies come as they were sent (`bodies` inflates); HttpConnection drops unread bodies itself.
        super().__init__(app, auto_decompress=False, lingering_time=0, read_bufsize=BODY_BUFFER, **options)
        self._router = router

    def make_server(self, handler: Any, request_factory: Any, options: Mapping[str, Any]) -> web.Server:
        """Return a server whose requests go to the router first."""
        return _Server(_routed(handler, self._router), request_factory, options)


def _routed(resolve: Any, router: Router) -> Any:
    """Return the function that answers requests. It adds no coroutine: it returns that of the endpoint or resolver."""

    def handle(request: Any) -> Awaitable[web.StreamResponse]:
        request.protocol.flush()  # the previous reply goes before whatever this request writes
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
    """Makes connections that share one WriteCoalescer."""

    def __init__(self, handler: Any, request_factory: Any, options: Mapping[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(handler, request_factory=request_factory, loop=loop)
        self._loop_of_connections, self._options = loop, options
        self._coalescer = WriteCoalescer(loop)

    def __call__(self) -> HttpConnection:
        """Return the protocol of a new connection."""
        return HttpConnection(self, self._coalescer, loop=self._loop_of_connections, **self._options)


class HttpServer:
    """An application that serves a listening socket."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def stop_listening(self) -> None:
        """Accept no more connections; those that are open are served on."""
        for site in list(self._runner.sites):
            await site.stop()

    async def close(self) -> None:
        """Wait up to `drain_seconds` for running requests, then close every connection."""
        await self._runner.cleanup()


async def serve(
    application: tuple[web.Application, Router], listener: socket.socket, *, drain_seconds: float, idle_seconds: float
) -> HttpServer:
    """Serve an application on a bound socket.

    `drain_seconds`: how long running requests may take at the end. `idle_seconds`: how long a connection without a
    request stays open.
    """
    runner = Runner(
        *application,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=drain_seconds,
        keepalive_timeout=idle_seconds,
    )
    await runner.setup()
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    return HttpServer(runner)
