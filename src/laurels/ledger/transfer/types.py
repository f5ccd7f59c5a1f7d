"""Action types in. One that is there by that name is left alone; the line is bad when it differs."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.errors import Code, LaurelsError
from ..audit import Actor
from ..type_editor import TypeDraft, TypeEditor
from .comparing import difference
from .records import BadRow, Line, Tally, TypeRecord


async def import_types(editor: TypeEditor, lines: Sequence[Line[TypeRecord]], actor: Actor) -> Tally:
    """Few, so one transaction each. A type may require one that stands below it: what fails is tried again."""
    tally, waiting = Tally(), list(lines)
    while waiting:
        left = [(line, why) for line in waiting if (why := await _add(editor, line, actor, tally))]
        if len(left) == len(waiting):
            tally.bad += [BadRow(line.number, f"{line.record.name!r}: {why}") for line, why in left]
            break
        waiting = [line for line, _ in left]
    return tally


async def _add(editor: TypeEditor, line: Line[TypeRecord], actor: Actor, tally: Tally) -> str | None:
    """Return why it can't be added now."""
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


async def _compare(editor: TypeEditor, line: Line[TypeRecord], tally: Tally) -> str | None:
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
