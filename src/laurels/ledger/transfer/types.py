"""Action types in. One that is there by that name is left alone, also when it differs."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.errors import Code, LaurelsError
from ..audit import Actor
from ..type_editor import TypeDraft, TypeEditor
from .records import BadRow, Tally, TypeRecord

Line = tuple[int, TypeRecord]


async def import_types(editor: TypeEditor, lines: Sequence[Line], actor: Actor) -> Tally:
    """Few, so one transaction each. A type may require one that stands below it: what fails is tried again."""
    tally, waiting = Tally(), list(lines)
    while waiting:
        left = [(line, record, why) for line, record in waiting if (why := await _add(editor, record, actor, tally))]
        if len(left) == len(waiting):
            tally.bad += [BadRow(line, f"{record.name!r}: {why}") for line, record, why in left]
            break
        waiting = [(line, record) for line, record, _ in left]
    return tally


async def _add(editor: TypeEditor, record: TypeRecord, actor: Actor, tally: Tally) -> str | None:
    """Why it can't be added now."""
    r = record
    try:
        await editor.create(
            TypeDraft(r.name, r.description, r.base_score, r.scoring_rules, r.is_active), actor, "import"
        )
    except LaurelsError as error:
        if error.code is Code.ALREADY_EXISTS:
            tally.present += 1
            return None
        return error.detail if error.path is None else f"{error.detail} (at {error.path})"
    tally.added += 1
    return None
