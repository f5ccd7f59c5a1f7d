"""The endpoints of an application, known to the router and to aiohttp's resolver."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import hdrs, web

from .router import Endpoint, Router

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""Answers a request, whatever its path."""


class Application(NamedTuple):
    """An application for `server.Runner`. The router comes first; the resolver takes requests it does not know."""

    resolver: web.Application
    router: Router

    def add(self, method: str, path: str, endpoint: Endpoint, *, routed: bool = True) -> None:
        """Answer requests of a method and path; `path` may have parts in braces. `routed`: known to the router too."""
        if routed:
            self.router.add(method, path, endpoint)
        self.resolver.router.add_route(method, _pattern(path), _resolved(endpoint), expect_handler=_expect_later)

    def add_other_methods(self, path: str, handle: Handle) -> None:
        """Answer requests of the methods that were not added before."""
        self.resolver.router.add_route(hdrs.METH_ANY, _pattern(path), handle, expect_handler=_expect_later)

    def add_catch_all(self, handle: Handle) -> None:
        """Answer requests of every other path, and those whose target is not a path."""
        self.resolver.router.add_route(hdrs.METH_ANY, "/{rest:.*}", handle, expect_handler=_expect_later)
        self.router.elsewhere = handle


def new_application() -> Application:
    """Return an application without endpoints."""
    return Application(web.Application(), Router())


def _pattern(path: str) -> str:
    """Return a path as aiohttp matches it; by default a parameter could not contain braces, which names may."""
    return re.sub(r"{(\w+)}", r"{\1:[^/]+}", path)


def _resolved(endpoint: Endpoint) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await endpoint(request, request.match_info)

    return handle


async def _expect_later(_: web.Request) -> None:
    """Do nothing: `bodies` answers Expect: 100-continue when a body is read. Others may be ignored (RFC 9110)."""
