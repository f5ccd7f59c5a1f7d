"""Holds the arguments of a command to what the API takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..domain.schema_hints import explain_member
from .errors import CommandFailed


def check_request(kind: type, members: Mapping[str, Any]) -> None:
    """Raise CommandFailed when the request `kind` of the API would refuse these members."""
    plain = msgspec.to_builtins(members)
    try:
        msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise CommandFailed(explain_member(error, kind, plain)) from error
