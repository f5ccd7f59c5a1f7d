"""Keyset pages: a page begins after a given row instead of after a number of rows.

Rows that are added or removed between two pages neither shift the others nor repeat any. A cursor is opaque to clients;
it holds the keys of the last row shown.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ...domain.errors import Code, LaurelsError
from ...domain.standings import INT64_MAX, INT64_MIN

MAX_PAGE = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next` is the cursor of the following page; None on the last one."""

    rows: Sequence[T]
    next: str | None


def page(rows: Sequence[T], limit: int, keys: Callable[[T], tuple[object, ...]]) -> Page[T]:
    """Return the page of `rows`. Fetch one row more than `limit`, so that it is known whether a page follows."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(shown, cursor_of(keys(shown[-1])) if more else None)


def keys_of(cursor: str | None, *kinds: type) -> tuple[Any, ...]:
    """Return the keys after which a page begins: those in `cursor` or, without one, None for each of `kinds`.

    Raises LaurelsError(INVALID_REQUEST) for a cursor that is not from this list.
    """
    if cursor is None:
        return (None,) * len(kinds)
    try:
        keys = msgspec.json.decode(urlsafe_b64decode(cursor.encode("ascii")), type=list)
    except (binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise no_cursor() from error
    if len(keys) != len(kinds) or not all(map(_fits, keys, kinds)):
        raise no_cursor()
    return tuple(keys)


def cursor_of(keys: tuple[object, ...]) -> str:
    """Return the cursor that `keys_of` reads."""
    return urlsafe_b64encode(msgspec.json.encode(keys)).decode()


def _fits(key: object, kind: type) -> bool:
    if type(key) is not kind:
        return False
    if isinstance(key, int):
        return INT64_MIN <= key <= INT64_MAX
    return "\0" not in key if isinstance(key, str) else True


def no_cursor() -> LaurelsError:
    """Return the refusal of a cursor that is not from this list."""
    return LaurelsError(Code.INVALID_REQUEST, "Take a cursor from `next` of the same list.", path="$.cursor")
