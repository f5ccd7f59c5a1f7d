"""Import action types. An existing one is left alone; a line that differs from it is bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...domain.errors import Code, LaurelsError
from ..catalogue.type_editor import TypeDraft, TypeEditor
from ..events.audit import Actor
from .comparing import difference
from .records import BadRow, ImportTally, Line, TypeRecord

_TypeLine = Line[TypeRecord]


async def import_types(
    editor: TypeEditor, lines: Sequence[_TypeLine], actor: Actor, *, stop: bool = False
) -> ImportTally:
    """Add types, one transaction each, and before each one those further down that it requires.

    If `stop` is set, end at the first bad row, and count only that one as bad. Rows below it are not imported, except
    those that a row above requires.
    """
    tally = ImportTally()
    for group in _groups(lines):
        for line in group:
            why = await _add(editor, line, actor, tally)
            if why is not None:
                tally.bad.append(BadRow(line.number, f"{line.record.name!r}: {why}"))
        if stop and tally.bad:
            tally.bad = [min(tally.bad, key=lambda row: row.line)]
            break
    return tally


def _groups(lines: Sequence[_TypeLine]) -> Iterator[list[_TypeLine]]:
    """Yield each line once, after those further down that it requires. Types that require each other end the walk."""
    named: dict[str, _TypeLine] = {}
    for line in lines:
        named.setdefault(line.record.name, line)
    seen: set[int] = set()
    for line in lines:
        path, group = [] if line.number in seen else [line], []
        while path:
            seen.add(path[-1].number)
            required = (named.get(item.action_type) for item in path[-1].record.scoring_rules.requires or ())
            below = next((one for one in required if one is not None and one.number not in seen), None)
            if below is None:
                group.append(path.pop())
            else:
                path.append(below)
        yield group


async def _add(editor: TypeEditor, line: Line[TypeRecord], actor: Actor, tally: ImportTally) -> str | None:
    """Return why a type cannot be added now."""
    r = line.record
    draft = TypeDraft(r.name, r.description, r.base_score, r.scoring_rules, r.is_active)
    try:
        await editor.create(draft, actor, "import")
    except LaurelsError as error:
        if error.code is Code.ALREADY_EXISTS:
            return await _compare(editor, line, tally)
        return error.detail if error.path is None else f"{error.detail} (at {error.path})"
    tally.added += 1
    return None


async def _compare(editor: TypeEditor, line: Line[TypeRecord], tally: ImportTally) -> str | None:
    stored = (await editor.get(line.record.name)).draft
    members = {
        "description": stored.description,
        "base_score": stored.base_score,
        "scoring_rules": stored.rules,
        "is_active": stored.is_active,
    }
    column = difference(line, members)
    if column is None:
        tally.present += 1
        return None
    return f"is there already and differs: {column}"
