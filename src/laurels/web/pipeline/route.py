"""One endpoint as data: what the pipeline enforces and the OpenAPI document says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...domain.authorization import Scope
from ...domain.errors import Code
from ..auth.authenticate import Access
from ..http.responses import JSON
from .call import Handler

LimitBy = Literal["address", "login", "user", "probe", "none"]
"""Which allowance a request is taken from. probe: one of the address for health checks and metrics alone, so that
nothing else from the same address uses it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint.

    access     what the caller must present, see `auth.authenticate`
    scope      what an API key needs where access is for operators and the method is not GET; None: no key is taken
    weight     what one request takes from the allowance of probes
    replies    status -> struct that it carries (None: no JSON)
    problems   codes beyond those that follow from access, body and limit
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
        """The handler's name."""
        return self.handler.__name__

    def cost(self, body: Any) -> int:
        """Return what a request takes from the caller's allowance: one per action."""
        return len(body.actions) if body is not None and hasattr(body, "actions") else 1
