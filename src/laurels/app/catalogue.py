"""Action types and boards: list, create, edit, archive, dry run.

An edit names the version that it was made on, so that of two operators who edit at once one is refused. Without a
version it applies to the current one, as a command needs it: its author means what is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..domain.actions import Submission
from ..domain.calendars import check_calendar
from ..domain.rules import ScoringRules, check_rules
from ..ledger.catalogue.board_editor import BoardDraft, EditedBoard
from ..ledger.catalogue.type_editor import EditedType, TypeDraft
from ..ledger.db.paging import Page
from ..ledger.events.audit import Actor
from ..ledger.write.dry_run import DryRun, dry_run, dry_run_identifier
from .admin_context import AdminContext


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunInput:
    """A hypothetical action of `username`, with `metadata` as canonical JSON text.

    `base_score` and `rules` replace those in force; None keeps them. `by_server`: as if a server vouched for it.
    """

    username: str
    metadata: str | None = None
    completed_at: datetime | None = None
    by_server: bool = False
    base_score: int | None = None
    rules: ScoringRules | None = None


async def list_types(
    context: AdminContext, cursor: str | None, limit: int, *, active: bool | None = None, prefix: str | None = None
) -> Page[EditedType]:
    """Return a page of action types, oldest first."""
    return await context.types.list(cursor, limit, active=active, prefix=prefix)


async def get_type(context: AdminContext, name: str) -> EditedType:
    """Return an action type. Raises LaurelsError(NOT_FOUND)."""
    return await context.types.get(name)


async def create_type(context: AdminContext, draft: TypeDraft, actor: Actor, reason: str | None) -> EditedType:
    """Create an action type. Raises LaurelsError ALREADY_EXISTS, CATALOGUE_FULL or INVALID_REQUEST."""
    return await context.types.create(draft, actor, reason)


async def edit_type(
    context: AdminContext,
    name: str,
    changes: Mapping[str, Any],
    actor: Actor,
    reason: str | None,
    *,
    version: int | None = None,
) -> EditedType:
    """Change members of a TypeDraft, on `version` or on the current one.

    Raises LaurelsError NOT_FOUND, VERSION_CONFLICT or INVALID_REQUEST.
    """
    if version is None:
        version = (await context.types.get(name)).version
    return await context.types.edit(name, version, changes, actor, reason)


async def dry_run_type(context: AdminContext, name: str, wanted: DryRunInput) -> DryRun:
    """Judge a hypothetical action on the user's real counters, and write nothing.

    Raises LaurelsError NOT_FOUND, USER_UNKNOWN, or INVALID_REQUEST for rules that contradict themselves.
    """
    changes: dict[str, Any] = {"base_score": wanted.base_score, "rules": wanted.rules}
    kind = (await context.types.get(name)).kind()
    kind = replace(kind, **{member: value for member, value in changes.items() if value is not None})
    check_rules(kind.rules, "$.scoring_rules")
    submission = Submission(
        await context.directory.find_any(wanted.username),
        kind.name,
        dry_run_identifier(),
        wanted.metadata,
        wanted.completed_at,
        by_server=wanted.by_server,
    )
    return await dry_run(context.pool, context.catalogue, kind, submission)


async def list_boards(
    context: AdminContext, cursor: str | None, limit: int, *, archived: bool | None = None
) -> Page[EditedBoard]:
    """Return a page of boards, oldest first, also of archived ones and those being filled."""
    return await context.boards.list(cursor, limit, archived=archived)


async def get_board(context: AdminContext, slug: str) -> EditedBoard:
    """Return a board as operators see it. Raises LaurelsError(BOARD_UNKNOWN)."""
    return await context.boards.get(slug)


async def create_board(context: AdminContext, draft: BoardDraft, actor: Actor, reason: str | None) -> EditedBoard:
    """Create a board, which a running node fills and then shows.

    Raises LaurelsError ALREADY_EXISTS, CATALOGUE_FULL, or INVALID_REQUEST for unknown types or a calendar whose members
    contradict each other.
    """
    check_calendar(draft.calendar)
    return await context.boards.create(draft, actor, reason)


async def edit_board(
    context: AdminContext,
    slug: str,
    changes: Mapping[str, Any],
    actor: Actor,
    reason: str | None,
    *,
    version: int | None = None,
) -> EditedBoard:
    """Change `name`, `daily_points_cap` or `archived`, on `version` or on the current one.

    Any other member of a BoardDraft may be given but not changed. Raises LaurelsError BOARD_UNKNOWN, VERSION_CONFLICT
    or INVALID_REQUEST.
    """
    if version is None:
        version = (await context.boards.get(slug)).version
    return await context.boards.edit(slug, version, changes, actor, reason)
