"""Request ids: the node's own, and the one that a caller may choose to trace a request across services."""

from __future__ import annotations

import itertools
import secrets

HEADER = "X-Request-ID"
_PROCESS = secrets.token_hex(4)
_requests = itertools.count(1)


def new_request_id() -> str:
    """Return a unique id: a random prefix of the process, then a counter. It is not secret."""
    return f"{_PROCESS}{next(_requests):08x}"


def chosen_by_caller(given: str) -> str | None:
    """Return the caller's id if it is a plain short one."""
    return given if 8 <= len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum() else None
