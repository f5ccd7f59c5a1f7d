"""Explain why a value is refused: what the schema takes instead, and the nearest name.

msgspec reports what it refuses, but not what it would take. That is looked up here, only after a refusal. A pattern
describes itself in `Meta(extra={"expected": …})`. `explain` words a refusal for the API, whose problems carry the path;
`explain_member` words it for the command line and for rows of a file, with the value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from .standings import INT64_MAX, INT64_MIN

LONGEST = 64
"""Characters of a name for which a near one is sought: comparing takes the product of the lengths."""
SHOWN = 64
"""Characters of a refused value that are repeated."""
_MESSAGE = re.compile(r"(?P<detail>.*?)(?: - at (?:`key` in )?`(?P<path>[^`]*)`)?", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_INVALID_VALUE = re.compile(r"Invalid (?:enum )?value '?(.*?)'?", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `.*?(?:, got `(?P<got>\w+)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")
_TOP_MEMBER = re.compile(r"\$\.([^.\[\]]+)(.*)", re.DOTALL)
_GOT = {
    "str": "text",
    "int": "a whole number",
    "float": "a number with decimals",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_WHOLE = "a whole number"
_BY_TYPE: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "an instant with its time zone, such as 2025-03-01T12:00:00Z",
    inspect.DictType: 'a JSON object, such as {"level": 3}',
    inspect.StructType: "a JSON object",
}


def parse_message(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return a refusal's message and the path of what is refused, such as `$.actions[0].user`."""
    found = _MESSAGE.fullmatch(str(error))
    assert found is not None, "the pattern matches any text"
    return found["detail"], found["path"] or "$"


def explain(detail: str, path: str, kind: Any, sent: Any = None, *, hidden: Collection[str] = ()) -> str:
    """Return a message of msgspec with what the schema `kind` takes at `path`; unchanged where that isn't known.

    `sent` is the decoded document: its tags choose among structs. `hidden` names members that are not the sender's.
    """
    parent, _, last = path.rpartition(".")
    if field := _UNKNOWN_FIELD.fullmatch(detail):
        members = [name for node in _at(path, kind, sent) for name in _fields(node) if name not in hidden]
        return f"{detail}.{nearest(field[1], members)} There are: {', '.join(members)}." if members else detail
    if value := _INVALID_VALUE.fullmatch(detail):
        values = _values(_at(path, kind, sent)) or _tags(_at(parent, kind, None), last)
        return f"{detail}.{nearest(value[1], values)} There are: {', '.join(values)}." if values else detail
    if "matching regex" in detail:
        expected = [_described(node) for node in _at(path, kind, sent) if _said(node)]
        return f"Expected {expected[0]}." if expected else detail
    if wrong := _WRONG_TYPE.fullmatch(detail):
        expected = _expected(path, kind, sent)
        got = f", got {_GOT[wrong['got']]}" if wrong["got"] in _GOT else ""
        return f"Expected {' or '.join(expected)}{got}." if expected else detail
    return detail


def explain_member(error: msgspec.ValidationError, kind: Any, members: Mapping[str, Any]) -> str:
    """Return in one line why `members` are not a `kind`: the member, the value in it, and what is expected.

    Values of members that are marked as secret are not repeated.
    """
    detail, path = parse_message(error)
    if missing := _MISSING_FIELD.fullmatch(detail):
        return f"{'.'.join([*_names(path), missing[1]])}: is missing"
    top = _TOP_MEMBER.fullmatch(path)
    if top is None or _UNKNOWN_FIELD.fullmatch(detail):
        return explain(detail, path, kind, members).replace("`", "'")
    name, inside = top.groups()
    place = f" (at ${inside})" if inside else ""
    choices = "" if inside else _choices(kind, name)
    expected = [choices] if choices else _expected(path, kind, members) or ["expected"]
    secret = any(_note(node, "secret") for node in _at(path, kind, members))
    shown = "what is given" if secret else _shown(_value_at(path, members))
    return f"{name}: {shown} is not {' or '.join(expected)}{place}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known name nearest to `name`, with a space before; or nothing."""
    near = get_close_matches(name, list(known), n=1) if len(name) <= LONGEST else []
    return f" Did you mean {near[0]}?" if near else ""


@cache
def _type_of(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _at(path: str, kind: Any, sent: Any) -> list[inspect.Type]:
    """Return the types that a path of msgspec may lead to: `$.actions[0].user`, `$.metadata[...]`."""
    nodes = _chosen([_type_of(kind)], sent)
    for step in _STEP.finditer(path):
        nodes = [below for node in nodes for below in _below(_bare(node), step[1])]
        sent = sent.get(step[1]) if isinstance(sent, dict) and step[1] else None
        nodes = _chosen(nodes, sent)
    return [_bare(node) if not isinstance(node, inspect.Metadata) else node for node in nodes]


def _below(node: inspect.Type, member: str | None) -> list[inspect.Type]:
    if member is not None:
        fields = node.fields if isinstance(node, inspect.StructType) else ()
        return [field.type for field in fields if field.encode_name == member]
    if isinstance(node, inspect.CollectionType):
        return [node.item_type]
    return [node.value_type] if isinstance(node, inspect.DictType) else []


def _chosen(nodes: list[inspect.Type], sent: Any) -> list[inspect.Type]:
    """Return the members of unions; of several tagged structs the one that the document says, or none."""
    flat: list[inspect.Type] = []
    for node in nodes:
        bare = _bare(node)
        flat += _chosen(list(bare.types), sent) if isinstance(bare, inspect.UnionType) else [node]
    structs = [node for node in map(_bare, flat) if isinstance(node, inspect.StructType)]
    if len(structs) < 2 or not isinstance(sent, dict):
        return flat
    return [one for one in structs if one.tag_field and sent.get(one.tag_field) == one.tag]


def _bare(node: inspect.Type) -> inspect.Type:
    return node.type if isinstance(node, inspect.Metadata) else node


def _fields(node: inspect.Type) -> list[str]:
    if not isinstance(node, inspect.StructType):
        return []
    return [*([node.tag_field] if node.tag_field else []), *(field.encode_name for field in node.fields)]


def _values(nodes: list[inspect.Type]) -> list[str]:
    found: list[str] = []
    for node in map(_bare, nodes):
        if isinstance(node, inspect.LiteralType):
            found += map(str, node.values)
        elif isinstance(node, inspect.EnumType):
            found += [str(one.value) for one in node.cls]
    return found


def _tags(nodes: list[inspect.Type], member: str) -> list[str]:
    structs = [node for node in map(_bare, nodes) if isinstance(node, inspect.StructType)]
    return [str(one.tag) for one in structs if one.tag_field == member]


def _expected(path: str, kind: Any, sent: Any) -> list[str]:
    """Return what may stand at `path`, in words, each once."""
    nodes = _at(path, kind, sent)
    values = _values(nodes) or _tags(_at(path.rpartition(".")[0], kind, None), path.rpartition(".")[2])
    if values:
        return [f"one of {', '.join(values)}"]
    return list(dict.fromkeys(words for node in nodes if (words := _described(node))))


def _choices(kind: Any, name: str) -> str:
    """Return the values of a member that is a Literal, in the order in which they are declared; msgspec sorts them."""
    annotations = [field.type for field in msgspec.structs.fields(kind) if field.encode_name == name]
    values: list[object] = []
    while annotations:
        annotation = annotations.pop(0)
        if get_origin(annotation) is Literal:
            values += get_args(annotation)
        elif get_origin(annotation) in (Union, UnionType, Annotated):
            annotations += get_args(annotation)
    return f"one of {', '.join(map(str, values))}" if values else ""


def _described(node: inspect.Type) -> str:
    """Return in words what a type takes; nothing for null, and for what has no short description."""
    bare = _bare(node)
    if isinstance(bare, inspect.StrType):
        said = _said(node) or "text"
        return said.replace("text", f"text{_length(bare, 'characters')}", 1) if said.startswith("text") else said
    if said := _said(node):
        return said
    if isinstance(bare, inspect.IntType | inspect.FloatType):
        return _number(bare)
    if isinstance(bare, inspect.ListType):
        return f"a list{_length(bare, 'values')}"
    return _BY_TYPE.get(type(bare), "")


def _number(node: inspect.IntType | inspect.FloatType) -> str:
    what = _WHOLE if isinstance(node, inspect.IntType) else "a number"
    least, most = node.ge, node.le
    if isinstance(node, inspect.IntType) and least in (None, INT64_MIN) and most in (None, INT64_MAX):
        return f"{what} that fits in 64 bits, such as 10"
    if least is None:
        return what if most is None else f"{what} of at most {most}"
    return f"{what} of at least {least}" if most in (None, INT64_MAX) else f"{what} from {least} to {most}"


def _length(node: inspect.StrType | inspect.ListType, what: str) -> str:
    least, most = node.min_length or 0, node.max_length
    if most is not None:
        return f" of {least} to {most} {what}"
    return f" of at least {least} {what}" if least else ""


def _said(node: inspect.Type) -> str:
    return str(_note(node, "expected") or "")


def _note(node: inspect.Type, name: str) -> Any:
    extra = (node.extra or {}) if isinstance(node, inspect.Metadata) else {}
    return extra.get(name)


def _names(path: str) -> list[str]:
    return [step[1] for step in _STEP.finditer(path) if step[1]]


def _value_at(path: str, document: Any) -> Any:
    """Return what a document holds at `path`, as far as the path can be followed."""
    for step in _STEP.finditer(path):
        if step[1] is not None:
            document = document.get(step[1]) if isinstance(document, Mapping) else document
        elif isinstance(document, list) and step[0][1:-1].isdigit():
            document = document[int(step[0][1:-1])]
    return document


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
