"""A request as its handler sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ...app.accounts import RequestOrigin
from ...ledger.events.audit import Actor
from ..auth.access_tokens import Principal
from ..auth.keyring import ApiKey
from ..http import request_ids
from ..http.aiohttp_types import Request
from ..http.responses import Answer


@dataclass(slots=True)
class Call:
    """One request. `body` and `params` are the structs that the route declares, already validated."""

    request: Request
    caller: Principal | ApiKey | None
    address: str
    request_id: str = ""
    _own_request_id: str = ""
    params: Any = None
    body: Any = None

    @property
    def own_request_id(self) -> str:
        """The id that this node gave the request; `request_id` may be one that the caller chose."""
        if not self._own_request_id:
            was_sent = self.request_id == self.header(request_ids.HEADER)
            self._own_request_id = request_ids.new_request_id() if was_sent else self.request_id
        return self._own_request_id

    @property
    def actor(self) -> Actor:
        """The caller as the audit trail names it."""
        who = self.caller
        name = f"key:{who.id}" if isinstance(who, ApiKey) else f"user:{self.user.user_id}"
        return Actor(name, self.request_id)

    @property
    def user(self) -> Principal:
        """The caller of a route that only users may call."""
        assert isinstance(self.caller, Principal), "the route is not for users alone"
        return self.caller

    @property
    def user_id(self) -> int | None:
        """The caller's user id; None for a server or an anonymous caller."""
        return self.caller.user_id if isinstance(self.caller, Principal) else None

    @property
    def origin(self) -> RequestOrigin:
        """The origin of the request, for the log and the audit trail of log-ins."""
        sent_id = self.request_id if self.own_request_id != self.request_id else None
        return RequestOrigin(self.address, self.own_request_id, sent_id)

    def header(self, name: str) -> str | None:
        """Return the first value of a request header."""
        return self.request.headers.get(name)

    def already_has(self, etag: str) -> bool:
        """Return whether If-None-Match names this ETag (RFC 9110: a list, compared weakly, or `*`)."""
        lines = self.request.headers.getall("If-None-Match", ())
        if not lines:
            return False
        if lines == [etag]:  # the common case
            return True
        names = [name.strip().removeprefix("W/") for line in lines for name in line.split(",")]
        return names == ["*"] or etag in names


Handler = Callable[..., Awaitable[Answer]]
"""Takes the contexts that its parameters are annotated with, then the Call."""
