"""From bytes to strict structs: what the JSON libraries let pass is caught here.

msgspec checks types, limits and unknown members. Beside it: duplicate member names (every common
decoder silently takes the last), and in free-form metadata depth, size, NUL (which PostgreSQL can't
store) and integers beyond 64 bits.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from ..domain.actions import Submission
from ..domain.errors import Code, LaurelsError
from ..domain.standings import INT64_MAX, INT64_MIN
from .wire import METADATA_BYTES, METADATA_DEPTH, CompleteAction


class _DuplicateMember(ValueError):
    pass


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateMember(next(name for name in names if names.count(name) > 1))
    return members


_strict = json.JSONDecoder(object_pairs_hook=_unique_members).decode
_sorted = msgspec.json.Encoder(order="sorted").encode


@cache
def _decoder(kind: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode_body(body: bytes, kind: type) -> Any:
    """Raises LaurelsError INVALID_JSON, or INVALID_REQUEST with the path of the member that is wrong."""
    try:
        value = _decoder(kind).decode(body)
        _strict(body.decode())
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except _DuplicateMember as error:
        raise LaurelsError(
            Code.INVALID_REQUEST, f"The member {str(error)!r} appears twice.", path=f"$.{error}"
        ) from error
    except RecursionError as error:
        raise LaurelsError(Code.INVALID_JSON, "The body is nested too deeply.") from error
    except ValueError as error:  # msgspec.DecodeError, invalid UTF-8
        raise LaurelsError(Code.INVALID_JSON, f"The body is not valid JSON: {error}") from error
    return value


def decode_params(params: dict[str, str], kind: type) -> Any:
    """Path and query parameters, which arrive as text. Raises LaurelsError(INVALID_REQUEST)."""
    try:
        return msgspec.convert(params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def submission(user_id: int, action: CompleteAction, path: str = "$") -> Submission:
    """An action off the wire as the ledger takes it. Raises LaurelsError(INVALID_REQUEST)."""
    if not action.action_identifier.isprintable():
        raise _bad("An identifier has printable characters only.", f"{path}.action_identifier")
    metadata = None
    if action.metadata is not None:
        metadata = _metadata_text(action.metadata, f"{path}.metadata")
    return Submission(user_id, action.action_type, action.action_identifier, metadata, action.completed_at)


def _metadata_text(metadata: dict[str, Any], path: str) -> str:
    _check_value(metadata, path, METADATA_DEPTH)
    text = _sorted(metadata)
    if len(text) > METADATA_BYTES:
        raise _bad(f"Metadata has at most {METADATA_BYTES} bytes, this has {len(text)}.", path)
    return text.decode()


def _check_value(value: Any, path: str, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise _bad("A string must not contain NUL.", path)
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise _bad("An integer must fit into 64 bits.", path)
    elif isinstance(value, dict | list):
        if depth == 0:
            raise _bad(f"Metadata has at most {METADATA_DEPTH} levels.", path)
        _check_members(value, path, depth - 1)


def _check_members(value: dict[str, Any] | list[Any], path: str, depth: int) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if "\0" in name:
                raise _bad("A name must not contain NUL.", path)
            _check_value(member, f"{path}.{name}", depth)
    else:
        for position, member in enumerate(value):
            _check_value(member, f"{path}[{position}]", depth)


def _invalid(error: msgspec.ValidationError) -> LaurelsError:
    message, _, path = str(error).partition(" - at ")
    return _bad(message, path.strip("`") or "$")


def _bad(detail: str, path: str) -> LaurelsError:
    return LaurelsError(Code.INVALID_REQUEST, detail, path=path)
