"""From bytes to strict structs: what JSON libraries let pass is caught here.

msgspec checks types, bounds and unknown members. Before it, the body is checked to be JSON without duplicate member
names, of which every common decoder silently takes the last. `domain/metadata.py` then checks free-form metadata:
depth, size, NUL (which PostgreSQL can't store) and integers beyond 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...domain.errors import Code, LaurelsError
from ...domain.instants import in_utc
from ...domain.schema_hints import explain, parse_message
from ...domain.strict_json import DuplicateMember, check_strictly
from .aiohttp_types import Request

CACHED_QUERIES = 1_000
CACHED_LENGTH = 64
"""Characters of a query that is cached at most, so that made-up queries can't fill memory."""
_cached: dict[tuple[type, str], Any] = {}


class _Members(list[tuple[str, Any]]):
    """An object as it was sent: its members in order, including duplicates."""


_as_sent = json.JSONDecoder(object_pairs_hook=_Members, parse_int=str).decode
_Instant = Annotated[datetime, Meta(tz=True)]


@cache
def _decoder(kind: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode_body(body: bytes, kind: type, name: str = "body") -> Any:
    """Return a body (or what `name` calls it) as a struct. An empty one counts as `{}` where no member is required.

    Raises LaurelsError INVALID_JSON, or INVALID_REQUEST with the path of the member that is wrong.
    """
    if not body:
        return _of_empty(kind, name)
    sent = None
    try:
        sent = check_strictly(body.decode())
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(error, kind, sent) from error
    except DuplicateMember as error:
        raise _bad("This member appears twice in its object.", _duplicate_path(body)) from error
    except RecursionError as error:
        raise LaurelsError(Code.INVALID_JSON, f"The {name} is nested too deeply.") from error
    except ValueError as error:  # msgspec.DecodeError, invalid UTF-8
        raise LaurelsError(Code.INVALID_JSON, f"The {name} is not valid JSON: {error}") from error


def _of_empty(kind: type, name: str) -> Any:
    """Return the struct of an empty body. Raises LaurelsError(INVALID_JSON) when members are required."""
    if takes_nothing(kind):
        return _decoder(kind).decode(b"{}")
    needed = f" with {', '.join(_required(kind))}" if _is_struct(kind) else ""
    raise LaurelsError(Code.INVALID_JSON, f"The {name} is empty: send a JSON object{needed}.")


def takes_nothing(kind: type) -> bool:
    """Return whether all members may be left out, and so the body."""
    return _is_struct(kind) and not _required(kind)


def _is_struct(kind: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _required(kind: type) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind) if field.required]


def params_of(request: Request, in_path: Mapping[str, str], kind: type) -> Any:
    """Return path and query parameters as a struct. Short queries are cached: the structs are frozen.

    Raises LaurelsError(INVALID_REQUEST).
    """
    query = request.rel_url.raw_query_string
    if in_path or len(query) > CACHED_LENGTH:
        return decode_params(request.query, in_path, kind)
    known = _cached.get((kind, query))
    if known is None:
        known = decode_params(request.query, in_path, kind)
        if len(_cached) >= CACHED_QUERIES:
            _cached.clear()
        _cached[kind, query] = known
    return known


def decode_params(query: Mapping[str, str], in_path: Mapping[str, str], kind: type) -> Any:
    """Return parameters, which arrive as text, as a struct. Raises LaurelsError(INVALID_REQUEST)."""
    if not query:
        return _converted(in_path, kind, in_path) if in_path else _defaults(kind)
    repeated = _first_repeated([*in_path, *(name for name, _ in query.items())])
    if repeated is not None:
        raise _bad("This parameter is given twice.", f"$.{repeated}")
    return _converted({**query, **in_path}, kind, in_path)


def _converted(params: Mapping[str, str], kind: type, in_path: Mapping[str, str]) -> Any:
    try:
        return msgspec.convert(params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error, kind, hidden=in_path) from error


@cache
def _defaults(kind: type) -> Any:
    """Return the parameters of a request without any; the structs are frozen, so one serves all."""
    try:
        return msgspec.convert({}, kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, kind) from error


def instant(text: str | None, path: str) -> datetime | None:
    """Return the instant that a parameter names, or None. Raises LaurelsError(INVALID_REQUEST)."""
    try:
        return None if text is None else in_utc(msgspec.convert(text, _Instant), path)
    except msgspec.ValidationError as error:
        raise _bad("This is not an instant, such as 2026-11-24T12:00:00Z.", path) from error


def _duplicate_path(body: bytes) -> str:
    """Return the path of the second occurrence of a name in the outermost object that has one twice."""
    pending: list[tuple[str, Any]] = [("$", _as_sent(body.decode()))]
    for path, value in pending:  # grows while it is walked; no recursion, because the client chooses the depth
        members = _members_of(value, path)
        repeated = _first_repeated(name for name, _ in members)
        if repeated is not None:
            return repeated
        pending += members
    raise AssertionError("unreachable")


def _members_of(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, _Members):
        return [(f"{path}.{name}", member) for name, member in value]
    if isinstance(value, list):
        return [(f"{path}[{position}]", member) for position, member in enumerate(value)]
    return []


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _invalid(
    error: msgspec.ValidationError, kind: type, sent: Any = None, *, hidden: Collection[str] = ()
) -> LaurelsError:
    detail, path = parse_message(error)
    return _bad(explain(detail, path, kind, sent, hidden=hidden), path)


def _bad(detail: str, path: str) -> LaurelsError:
    return LaurelsError(Code.INVALID_REQUEST, detail, path=path)
