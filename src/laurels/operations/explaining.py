"""Why a value is refused, in words for people: the column, what was in it, what is expected, with an example."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from ..domain import email
from ..web.fields import Reason
from .errors import CommandFailed

SHOWN = 64
"""Characters of a value that are repeated."""
SECRET = frozenset({"password_hash"})
_PLACE = re.compile(r"(?P<what>.*?)(?: - at (?:`key` in )?`(?P<path>[^`]*)`)?", re.DOTALL)
_MEMBER = re.compile(r"\$\.([^.\[\]]+)(.*)", re.DOTALL)
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_EXPECTED = {
    "email": email.EXPECTED,
    "password_hash": "an argon2id hash, such as $argon2id$v=19$m=65536,t=3,p=4$…",
    "slug": "1 to 63 lower-case letters, digits and hyphens, such as points",
}
_OBJECT = 'a JSON object, such as {"level": 3}'
_BY_TYPE: dict[type, str] = {
    msgspec.inspect.IntType: "a whole number that fits in 64 bits, such as 10",
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.DateTimeType: "an instant with its time zone, such as 2025-03-01T12:00:00Z",
    msgspec.inspect.ListType: "a list of at least one value",
}


def check_request(kind: type, members: Mapping[str, Any]) -> None:
    """Hold a command to what the API takes. Raises NotDone."""
    plain = msgspec.to_builtins(members)
    try:
        msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise CommandFailed(explain(error, kind, plain)) from error


def is_reason(text: str) -> bool:
    """Tell whether the API takes it as a reason."""
    try:
        msgspec.convert(text, Reason)
    except msgspec.ValidationError:
        return False
    return True


def explain(error: msgspec.ValidationError, kind: type, members: Mapping[str, Any]) -> str:
    """Return why `members` are not a `kind`."""
    found = _PLACE.fullmatch(str(error))
    assert found is not None, "the pattern matches everything"
    what, member = found["what"], _MEMBER.fullmatch(found["path"] or "$")
    if member is None:
        named = _NAMED.fullmatch(what)
        if named is None:
            return what
        return f"{named[2]}: is missing" if named[1] == "missing required" else unknown_columns([named[2]], kind)
    name, inside = member.groups()
    if inside:
        return f"{name}: {_plain(what)} (at ${inside})"
    return f"{name}: {_shown(name, members.get(name))} is not {_expected(name, kind)}"


def unknown_columns(names: Iterable[str], kind: type) -> str:
    """Return what to say of columns that a file of `kind` does not have."""
    strangers = list(names)
    known = ", ".join(field.name for field in msgspec.structs.fields(kind))
    skip = " ".join(f"--ignore-columns {_quoted(name)}" for name in strangers)
    listed = ", ".join(repr(name) for name in strangers)
    is_not = "is not a column" if len(strangers) == 1 else "are not columns"
    return f"{listed} {is_not}; the columns are {known}. To skip: {skip}"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else '"' + name.replace('"', '\\"') + '"'


def _shown(name: str, value: object) -> str:
    if name in SECRET:
        return "what is given"
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _expected(name: str, kind: type) -> str:
    """Return what a column may hold."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if name in _EXPECTED or name not in fields:
        return _EXPECTED.get(name, "expected")
    listed = _choices(fields[name].type)
    if listed:
        return f"one of {', '.join(listed)}"
    described = {field.name: field.type for field in msgspec.inspect.type_info(kind).fields}[name]  # type: ignore[attr-defined]
    return _described(described)


def _choices(annotation: object) -> list[str]:
    """Return the values of a Literal in the order in which they are written; msgspec sorts them."""
    nested = [choice for argument in get_args(annotation) for choice in _choices(argument)]
    if nested:
        return nested
    values = get_args(annotation)
    return list(values) if values and all(isinstance(value, str) for value in values) else []


def _described(kind: msgspec.inspect.Type) -> str:
    if isinstance(kind, msgspec.inspect.Metadata):  # what only documents a type
        return _described(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return _described(next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)))
    if isinstance(kind, msgspec.inspect.StrType):
        return _text(kind)
    return _BY_TYPE.get(type(kind), _OBJECT)


def _text(kind: msgspec.inspect.StrType) -> str:
    least = kind.min_length or 0
    most = "" if kind.max_length is None else f" of {least} to {kind.max_length} characters"
    return f"text{most} without control characters"


def _plain(what: str) -> str:
    """Return a message of msgspec's about something inside a JSON value, without its marks."""
    words = {"Expected `int`": "expected a whole number", "Expected `str`": "expected text", "`": ""}
    for old, new in words.items():
        what = what.replace(old, new)
    return what[:1].lower() + what[1:]
