"""Which pages of other sites may call this API from their visitors' browsers (CORS).

Tokens travel in a header and never in a cookie, so a page can only do what its visitor's token allows: the list keeps
other sites from spending the visitor's address allowance, not from forging requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

ANY = "*"
PREFLIGHT_SECONDS = 600

_EXPOSED = "ETag, Retry-After, X-Request-ID"
_ASKED_FOR = "Authorization, Content-Type, If-None-Match, X-Request-ID"


_ORIGIN = re.compile(
    r"null|[a-z][a-z0-9+.-]*://(?:(?:\[[0-9a-f:.]+\]|[^\x00-\x20\x7f\[\]/\\?#@:]+)(?::[0-9]{1,5})?)?", re.IGNORECASE
)


def is_origin(text: str) -> bool:
    """Return whether `text` can be an Origin header: scheme://host[:port], a scheme without host (file://), or null."""
    return _ORIGIN.fullmatch(text) is not None


class Origins:
    """The allowed origins, as browsers spell them (https://example.org), or `*` for every one."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def __bool__(self) -> bool:
        return bool(self._allowed)

    def allow(self, origin: str | None) -> bool:
        """Return whether pages of this origin may call the API."""
        return origin is not None and (ANY in self._allowed or origin in self._allowed)

    def grant(self, request: Mapping[str, str]) -> dict[str, str]:
        """Return the CORS headers of a reply. `request`: the request's headers."""
        if not self._allowed:
            return {}
        origin = request.get("Origin")
        if origin is None or not self.allow(origin):
            return {"Vary": "Origin"}
        granted = ANY if ANY in self._allowed else origin
        return {"Vary": "Origin", "Access-Control-Allow-Origin": granted, "Access-Control-Expose-Headers": _EXPOSED}

    def preflight(self, request: Mapping[str, str], methods: Iterable[str]) -> dict[str, str] | None:
        """Return the headers that answer a preflight; None when the request is not one, or is not allowed."""
        if "Access-Control-Request-Method" not in request or not self.allow(request.get("Origin")):
            return None
        return {
            **self.grant(request),
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": _ASKED_FOR,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
