"""Check the metadata of an action and bring it into the canonical form that the ledger stores and compares.

Two spellings of one document have one canonical text, as in RFC 8785: members are sorted, escapes and white space
are gone, `5.0` and `5e0` are `5`, `-0` is `0`, and an empty document is the same as none. Unlike RFC 8785 an integer
never passes through a double, so integers of 64 bits stay exact; other numbers are doubles.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import Code, LaurelsError
from .standings import INT64_MAX, INT64_MIN

METADATA_BYTES = 4_096
METADATA_DEPTH = 8

_INT64_END = 2.0**63
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical_metadata(metadata: dict[str, Any] | None, path: str) -> str | None:
    """Return the canonical JSON text of decoded metadata, or None for an empty document.

    Changes `metadata` in place. Raises LaurelsError(INVALID_REQUEST) with the path of the wrong member.
    """
    if not metadata:
        return None
    _normalize(metadata, path, METADATA_DEPTH)
    text = _encode(metadata)
    if len(text) > METADATA_BYTES:
        raise _bad(f"Metadata has at most {METADATA_BYTES} bytes, this has {len(text)}.", path)
    return text.decode()


def _normalize(value: dict[str, Any] | list[Any], path: str, depth: int) -> None:
    if depth == 0:
        raise _bad(f"Metadata has at most {METADATA_DEPTH} levels.", path)
    if isinstance(value, dict):
        for name, member in value.items():  # replacing a value keeps the size, so iterating is safe
            if "\0" in name:
                raise _bad("A name must not contain NUL.", path)
            value[name] = _normal(member, path, name, depth)
    else:
        for position, member in enumerate(value):
            value[position] = _normal(member, path, position, depth)


def _normal(member: Any, path: str, key: str | int, depth: int) -> Any:
    if isinstance(member, str):
        if "\0" in member:
            raise _bad("A string must not contain NUL.", _below(path, key))
    elif isinstance(member, float):
        if member.is_integer() and -_INT64_END <= member < _INT64_END:
            return int(member)
    elif isinstance(member, int):
        if not INT64_MIN <= member <= INT64_MAX:
            raise _bad("An integer must fit into 64 bits.", _below(path, key))
    elif isinstance(member, dict | list):
        _normalize(member, _below(path, key), depth - 1)
    return member


def _below(path: str, key: str | int) -> str:
    return f"{path}.{key}" if isinstance(key, str) else f"{path}[{key}]"


def _bad(detail: str, path: str) -> LaurelsError:
    return LaurelsError(Code.INVALID_REQUEST, detail, path=path)
