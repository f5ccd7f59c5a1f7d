"""The one check of e-mail addresses: for requests, commands and imports."""

from __future__ import annotations

import re

from .errors import Code, LaurelsError

MAX_LENGTH = 254
# Python's $ also matches before a final newline; (?!\n) makes it mean in Python what it means in JSON Schema.
PATTERN = r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}$(?!\n)"
EXPECTED = "an e-mail address of at most 254 characters, such as ada@example.org"

_ADDRESS = re.compile(PATTERN)


def check_email(address: str) -> None:
    """Raise LaurelsError(INVALID_REQUEST) for a text that can't be an address."""
    if len(address) > MAX_LENGTH or _ADDRESS.search(address) is None:
        raise LaurelsError(Code.INVALID_REQUEST, f"{address[:64]!r} is not {EXPECTED}", path="$.email")
