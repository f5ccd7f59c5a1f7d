"""Kinds of members that several requests share, and the strict base of all requests."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

# Python's $ also matches before a final newline; (?!\n) makes it mean in Python what it means in JSON Schema.
END = r"$(?!\n)"

Slug = Annotated[str, Meta(pattern=f"^[a-z0-9][a-z0-9-]{{0,62}}{END}", max_length=63, examples=["points"])]
Username = Annotated[
    str,
    Meta(min_length=3, max_length=32, description="Letters, digits, symbols and single spaces", examples=["ada"]),
]
AnyUsername = Annotated[str, Meta(min_length=1, max_length=64, examples=["ada"])]
Password = Annotated[str, Meta(min_length=10, max_length=256, examples=["correct horse battery"])]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}" + END)]
NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]+" + END
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=NO_CONTROLS,
        description="Printable characters; unique per user",
        examples=["course-12-lesson-7"],
    ),
]
TypeName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS, examples=["lesson"])]
RefreshToken = Annotated[str, Meta(min_length=1, max_length=128)]


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Unknown members are refused: a misspelt one must not be ignored in silence."""
