"""JSON without duplicate member names: every common decoder silently takes the last one."""

from __future__ import annotations

import json
from typing import Any

import msgspec


class DuplicateMember(ValueError):
    """An object has a member twice."""

    def __init__(self) -> None:
        super().__init__("a member appears twice in its object")


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Integers stay text: they are not looked at here, and a long one is work for nothing.
check_strictly = json.JSONDecoder(object_pairs_hook=_unique_members, parse_int=str, parse_constant=_no_constant).decode
"""Parse JSON text without using what it says. Raises ValueError (DuplicateMember) or RecursionError."""


def strict_json(text: bytes) -> Any:
    """Decode JSON without duplicate members. Raises ValueError."""
    try:
        check_strictly(text.decode())
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
