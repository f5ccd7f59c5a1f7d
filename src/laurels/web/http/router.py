"""From a path straight to its endpoint: aiohttp's resolver takes 6 µs a request, a good part of reading a rank.

Requests that are not found here (other methods, escapes, paths of pages) go to the resolver, which also leads to 404
and 405.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

Endpoint = Callable[[web.Request, Mapping[str, str]], Awaitable[web.StreamResponse]]
"""Answers a request, given the parameters in its path."""
NOTHING_IN_PATH: Mapping[str, str] = {}


@dataclass(slots=True)
class Router:
    """Finds endpoints by method and path."""

    _plain: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    _plain_paths: set[str] = field(default_factory=set)
    _templates: dict[tuple[str, int], list[tuple[re.Pattern[str], Endpoint]]] = field(default_factory=dict)
    """By method and number of slashes."""
    elsewhere: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    """Answers targets that are not a path (`OPTIONS *`), which the resolver does not know."""

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Add an endpoint; `path` may have parameters in braces, as aiohttp writes them."""
        if "{" not in path:
            self._plain[method, path] = endpoint
            self._plain_paths.add(path)
            return
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^{}/]+)", re.escape(path)))
        self._templates.setdefault((method, path.count("/")), []).append((pattern, endpoint))

    def find(self, request: web.Request) -> tuple[Endpoint, Mapping[str, str]] | None:
        """Return the endpoint that aiohttp would find and the parameters in the path, or None."""
        method, path = request.method, request.rel_url.raw_path
        endpoint = self._plain.get((method, path))
        if endpoint is not None:
            return endpoint, NOTHING_IN_PATH
        if path in self._plain_paths or "%" in path:
            return None
        for pattern, endpoint in self._templates.get((method, path.count("/")), ()):
            if match := pattern.fullmatch(path):
                return endpoint, match.groupdict()
        return None
