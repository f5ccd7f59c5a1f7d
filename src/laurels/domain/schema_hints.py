"""Say what a schema takes instead of what was sent: its members, its values, the nearest one.

msgspec names what it refuses and not what it would take. This is looked up only after a refusal. Patterns say in
`Meta(extra={"expected": …})` what they mean in words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any

from msgspec import inspect

LONGEST = 64
"""Characters of a name for which a near one is looked for: comparing takes the product of the lengths."""
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INVALID_VALUE = re.compile(r"Invalid (?:enum )?value '?(.*?)'?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")


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
        expected = [found for node in _at(path, kind, sent) for found in _expected(node)]
        return f"Expected {expected[0]}." if expected else detail
    return detail


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known name nearest to `name`, with a space before; or nothing."""
    near = get_close_matches(name, list(known), n=1) if len(name) <= LONGEST else []
    return f" Did you mean {near[0]}?" if near else ""


@cache
def _described(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _at(path: str, kind: Any, sent: Any) -> list[inspect.Type]:
    """Return the types that a path of msgspec may lead to: `$.actions[0].user`, `$.metadata[...]`."""
    nodes = _chosen([_described(kind)], sent)
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


def _expected(node: inspect.Type) -> list[str]:
    extra = (node.extra or {}) if isinstance(node, inspect.Metadata) else {}
    return [extra["expected"]] if "expected" in extra else []
