"""Action types and boards, listed, changed and tried from the command line."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

import msgspec

from ..config import Settings
from ..database import database
from ..domain.actions import Submission
from ..domain.calendars import check_calendar
from ..domain.rules import ScoringRules, check_rules
from ..ledger.accounts.directory import Directory
from ..ledger.catalogue.board_editor import BoardDraft, BoardEditor, EditedBoard
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.type_editor import EditedType, TypeDraft, TypeEditor
from ..ledger.db.paging import MAX_PAGE
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..ledger.write.dry_run import DryRun, dry_run, dry_run_identifier
from ..web.api.admin_boards import CreateBoard, EditBoard
from ..web.api.admin_types import CreateActionType, EditActionType
from .changes import changing
from .explaining import check_request
from .operator import operator


@dataclass(frozen=True, slots=True)
class _Opened:
    pool: Pool
    catalogue: Catalogue
    types: TypeEditor
    boards: BoardEditor


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunInput:
    """What to try: an action of `username`, under other rules or another worth if given. `metadata` is JSON text."""

    username: str
    metadata: str | None = None
    by_server: bool = False
    base_score: int | None = None
    rules: ScoringRules | None = None


async def list_types(settings: Settings) -> list[EditedType]:
    found: list[EditedType] = []
    cursor = None
    async with _opened(settings) as ledger:
        while True:
            page = await ledger.types.list(cursor, MAX_PAGE, active=None, prefix=None)
            found += page.rows
            cursor = page.next
            if cursor is None:
                return found


async def get_type(settings: Settings, name: str) -> EditedType:
    async with _opened(settings) as ledger:
        return await ledger.types.get(name)


async def create_type(settings: Settings, draft: TypeDraft, reason: str | None) -> EditedType:
    """Raises NotDone for what the API would not take either."""
    _check(CreateActionType, _renamed(asdict(draft)), reason)
    async with _opened(settings, changes=True) as ledger:
        return await ledger.types.create(draft, operator(), reason)


async def edit_type(settings: Settings, name: str, changes: Mapping[str, Any], reason: str | None) -> EditedType:
    """On the version of this moment: who types a command means what is there now."""
    _check(EditActionType, {"version": 1, **_renamed(changes)}, reason)
    async with _opened(settings, changes=True) as ledger:
        present = await ledger.types.get(name)
        return await ledger.types.edit(name, present.version, changes, operator(), reason)


async def try_type(settings: Settings, name: str, question: DryRunInput) -> DryRun:
    async with _opened(settings) as ledger:
        kind = (await ledger.types.get(name)).kind()
        changes: dict[str, Any] = {"base_score": question.base_score, "rules": question.rules}
        kind = replace(kind, **{member: value for member, value in changes.items() if value is not None})
        check_rules(kind.rules)
        user_id = await Directory(Reads(ledger.pool)).find_any(question.username)
        submission = Submission(user_id, name, dry_run_identifier(), question.metadata, by_server=question.by_server)
        return await dry_run(ledger.pool, ledger.catalogue, kind, submission)


async def list_boards(settings: Settings) -> list[EditedBoard]:
    found: list[EditedBoard] = []
    cursor = None
    async with _opened(settings) as ledger:
        while True:
            page = await ledger.boards.list(cursor, MAX_PAGE, archived=None)
            found += page.rows
            cursor = page.next
            if cursor is None:
                return found


async def create_board(settings: Settings, draft: BoardDraft, reason: str | None) -> EditedBoard:
    """A running node fills and shows it."""
    members = asdict(draft)
    cap = members.pop("daily_points_cap")
    assert cap is None, "only the default board has one"
    members["calendar"] = msgspec.to_builtins(draft.calendar)
    _check(CreateBoard, members, reason)
    check_calendar(draft.calendar)
    async with _opened(settings, changes=True) as ledger:
        return await ledger.boards.create(draft, operator(), reason)


async def edit_board(settings: Settings, slug: str, changes: Mapping[str, Any], reason: str | None) -> EditedBoard:
    _check(EditBoard, {"version": 1, **changes}, reason)
    async with _opened(settings, changes=True) as ledger:
        present = await ledger.boards.get(slug)
        return await ledger.boards.edit(slug, present.version, changes, operator(), reason)


def _check(request: type, members: Mapping[str, Any], reason: str | None) -> None:
    check_request(request, {**members, "reason": reason})


def _renamed(members: Mapping[str, Any]) -> dict[str, Any]:
    """As the API calls them."""
    return {"scoring_rules" if name == "rules" else name: value for name, value in members.items()}


@contextlib.asynccontextmanager
async def _opened(settings: Settings, *, changes: bool = False) -> AsyncIterator[_Opened]:
    async with (changing if changes else database)(settings) as pool:
        catalogue = Catalogue(pool)
        await catalogue.refresh()
        node = uuid4()
        yield _Opened(pool, catalogue, TypeEditor(pool, catalogue, node), BoardEditor(pool, catalogue, node))
