"""One request as a handler sees it, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from ...domain.authorization import Scope
from ...domain.errors import Code
from ...ledger.events.audit import Actor
from ..auth.access_tokens import Principal
from ..auth.keyring import ApiKey
from ..services import Services
from . import request_ids

JSON = "application/json"

Access = Literal["public", "viewer", "user", "server", "moderator", "admin"]
"""What each asks for: see `auth`."""
LimitBy = Literal["address", "login", "user", "probe", "none"]
"""probe: an allowance of the address for health and metrics alone, so that nothing else a stranger sends uses it up."""

encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Reply:
    """A status, ready bytes and headers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


@dataclass(slots=True)
class Call:
    """`body` and `params` are the structs that the route declares, already checked."""

    services: Services
    request: web.Request
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
            chosen = self.request_id == self.header(request_ids.HEADER)
            self._own_request_id = request_ids.new_request_id() if chosen else self.request_id
        return self._own_request_id

    @property
    def actor(self) -> Actor:
        """Who answers for what this request changes, for the audit trail."""
        who = self.caller
        name = f"key:{who.id}" if isinstance(who, ApiKey) else f"user:{self.user.user_id}"
        return Actor(name, self.request_id)

    @property
    def user(self) -> Principal:
        assert isinstance(self.caller, Principal), "the route is not for users alone"
        return self.caller

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def already_has(self, etag: str) -> bool:
        """If-None-Match names what would be sent (RFC 9110: a list, compared weakly, or `*`)."""
        lines = self.request.headers.getall("If-None-Match", ())
        if not lines:
            return False
        if lines == [etag]:  # as nearly everybody asks
            return True
        names = [name.strip().removeprefix("W/") for line in lines for name in line.split(",")]
        return names == ["*"] or etag in names


Answer = Reply | web.StreamResponse | msgspec.Struct
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint: everything the edge enforces and the OpenAPI document says.

    `replies` maps statuses to the struct they carry (None: no JSON). `problems` names the codes beyond those that
    follow from access, body and limit. `weight`: what one request takes from the allowance of probes. `scope`: what
    an API key needs where access is for operators and the method is not GET; without one the route takes no key.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str = ""
    access: Access = "public"
    scope: Scope | None = None
    limit: LimitBy = "address"
    weight: int = 1
    params: type | None = None
    body: type | None = None
    body_limit: int = 64 * 1024
    replies: Mapping[int, type | None] = field(default_factory=dict)
    problems: tuple[Code, ...] = ()
    media: str = JSON
    documented: bool = True

    @property
    def name(self) -> str:
        return self.handler.__name__

    def cost(self, body: Any) -> int:
        """What a request takes from the user's allowance: one per action."""
        return len(body.actions) if body is not None and hasattr(body, "actions") else 1


def json_reply(value: msgspec.Struct, status: int = 200) -> Reply:
    return Reply(encode(value), status)
