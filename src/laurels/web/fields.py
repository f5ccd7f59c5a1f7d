"""Kinds of members that requests share, and the strict base class of all requests."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..domain import email
from ..domain.standings import INT64_MAX
from ..ledger.db.paging import MAX_PAGE

T = TypeVar("T")

# Python's $ also matches before a final newline; (?!\n) makes it mean in Python what it means in JSON Schema.
END = r"$(?!\n)"

Slug = Annotated[
    str,
    Meta(
        pattern=f"^[a-z0-9][a-z0-9-]{{0,62}}{END}",
        max_length=63,
        examples=["points"],
        extra={"expected": "a slug: lower-case letters, digits and hyphens, not beginning with a hyphen"},
    ),
]
Username = Annotated[
    str,
    Meta(min_length=3, max_length=32, description="Letters, digits, symbols and single spaces", examples=["ada"]),
]
AnyUsername = Annotated[str, Meta(min_length=1, max_length=64, examples=["ada"])]
Password = Annotated[str, Meta(min_length=10, max_length=256, examples=["correct horse battery"])]
Email = Annotated[
    str,
    Meta(
        max_length=email.MAX_LENGTH,
        pattern=email.PATTERN,
        extra={"expected": "an e-mail address, such as ada@example.org"},
    ),
]
NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]+" + END
WITHOUT_CONTROLS = {"expected": "text without control characters"}
"""The `extra` that explains the pattern NO_CONTROLS in an error message."""
_IDENTIFIER: dict[str, Any] = {
    "min_length": 1,
    "max_length": 128,
    "description": "Printable characters; unique per user",
    "examples": ["course-12-lesson-7"],
}
_TYPE_NAME: dict[str, Any] = {"min_length": 1, "max_length": 64, "examples": ["lesson"]}
Identifier = Annotated[str, Meta(pattern=NO_CONTROLS, extra=WITHOUT_CONTROLS, **_IDENTIFIER)]
TypeName = Annotated[str, Meta(pattern=NO_CONTROLS, extra=WITHOUT_CONTROLS, **_TYPE_NAME)]
# For completions, which come a thousand at once: matching a pattern costs msgspec 0.6 µs, and `build_submission` checks
# the same more cheaply.
UncheckedIdentifier = Annotated[str, Meta(extra_json_schema={"pattern": NO_CONTROLS}, **_IDENTIFIER)]
UncheckedTypeName = Annotated[str, Meta(extra_json_schema={"pattern": NO_CONTROLS}, **_TYPE_NAME)]
RefreshToken = Annotated[str, Meta(min_length=1, max_length=128)]


def given(parameter: T | UnsetType) -> T | None:
    """Return a query parameter, or None for UNSET, its default: a parameter is text, which can't be null."""
    return None if parameter is UNSET else parameter


def raw(text: str | None) -> msgspec.Raw | None:
    """Return JSON text as a member of a reply, without decoding it."""
    return None if text is None else msgspec.Raw(text.encode())


def changes_in(edit: Request) -> dict[str, Any]:
    """Return the members of an edit that were sent, without those about the edit itself."""
    sent = msgspec.structs.asdict(edit)
    return {name: value for name, value in sent.items() if value is not UNSET and name not in _ABOUT_EDIT}


_ABOUT_EDIT = ("version", "reason")


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Refuses unknown members: a misspelt one must not be ignored silently."""


Cursor = Annotated[
    str, Meta(min_length=1, max_length=512, pattern=NO_CONTROLS, description="`next` of the previous page")
]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=NO_CONTROLS,
        description="Why, for the audit trail; no names",
        extra=WITHOUT_CONTROLS,
    ),
]
Version = Annotated[
    int, Meta(ge=1, le=INT64_MAX, description="The version that you read; an edit of another one is refused")
]


class ListQuery(Request, frozen=True):
    """The parameters of every list."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


UserId = Annotated[int, Meta(ge=1, le=INT64_MAX, examples=[1])]


class UserQuery(Request, frozen=True):
    user_id: UserId
