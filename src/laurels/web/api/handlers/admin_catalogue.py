"""Action types and boards, listed and changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from msgspec import UNSET, structs

from ....domain.actions import Submission
from ....domain.metadata import canonical_metadata
from ....domain.rules import check_rules
from ....ledger.catalogue.board_editor import BoardDraft, EditedBoard
from ....ledger.catalogue.type_editor import EditedType, TypeDraft
from ....ledger.write.dry_run import dry_run, dry_run_identifier
from ...http.call import Call, Reply, json_reply
from ...http.decode import in_utc
from ..wire.admin_catalogue import (
    AdminActionType,
    AdminActionTypes,
    AdminBoard,
    AdminBoards,
    EditActionType,
    EditBoard,
    TrialResult,
    check_time_zone,
)
from ..wire.fields import given


async def list_all_action_types(call: Call) -> AdminActionTypes:
    query = call.params
    found = await call.services.type_editor.list(
        query.cursor, query.limit, active=given(query.active), prefix=query.prefix
    )
    return AdminActionTypes([_action_type(kind) for kind in found.rows], found.next)


async def get_action_type(call: Call) -> AdminActionType:
    return _action_type(await call.services.type_editor.get(call.params.name))


async def create_action_type(call: Call) -> Reply:
    body = call.body
    draft = TypeDraft(body.name, body.description, body.base_score, body.scoring_rules, body.is_active)
    return json_reply(_action_type(await call.services.type_editor.create(draft, call.actor, body.reason)), 201)


async def edit_action_type(call: Call) -> AdminActionType:
    changes = _changes(call.body)
    if "scoring_rules" in changes:
        changes["rules"] = changes.pop("scoring_rules")
    edited = await call.services.type_editor.edit(
        call.params.name, call.body.version, changes, call.actor, call.body.reason
    )
    return _action_type(edited)


async def try_action_type(call: Call) -> TrialResult:
    body, services = call.body, call.services
    kind = (await services.type_editor.get(call.params.name)).kind()
    changes = {"base_score": given(body.base_score), "rules": given(body.scoring_rules)}
    kind = replace(kind, **{name: value for name, value in changes.items() if value is not None})
    check_rules(kind.rules, "$.scoring_rules")
    submission = Submission(
        await services.directory.find_any(body.username),
        kind.name,
        dry_run_identifier(),
        canonical_metadata(body.metadata, "$.metadata"),
        in_utc(body.completed_at, "$.completed_at"),
        by_server=body.by_server,
    )
    trial = await dry_run(services.pool, services.catalogue, kind, submission)
    return TrialResult(**asdict(trial))


async def list_all_boards(call: Call) -> AdminBoards:
    query = call.params
    found = await call.services.board_editor.list(query.cursor, query.limit, archived=given(query.archived))
    return AdminBoards([_board(board) for board in found.rows], found.next)


async def get_admin_board(call: Call) -> AdminBoard:
    return _board(await call.services.board_editor.get(call.params.slug))


async def create_board(call: Call) -> Reply:
    body = call.body
    check_time_zone(body.time_zone)
    kinds = None if body.action_types is None else tuple(body.action_types)
    draft = BoardDraft(body.slug, body.name, body.order, body.aggregate, body.ties, body.period, body.time_zone, kinds)
    return json_reply(_board(await call.services.board_editor.create(draft, call.actor, body.reason)), 201)


async def edit_board(call: Call) -> AdminBoard:
    changes = _changes(call.body)
    if changes.get("action_types") is not None:
        changes["action_types"] = tuple(changes["action_types"])
    edited = await call.services.board_editor.edit(
        call.params.slug, call.body.version, changes, call.actor, call.body.reason
    )
    return _board(edited)


def _changes(body: EditActionType | EditBoard) -> dict[str, Any]:
    """The members that were sent, but for those that are about the edit."""
    return {name: value for name, value in structs.asdict(body).items() if value is not UNSET and name not in _ABOUT}


_ABOUT = ("version", "reason")


def _action_type(kind: EditedType) -> AdminActionType:
    draft = kind.draft
    return AdminActionType(
        kind.id, draft.name, draft.description, draft.base_score, draft.rules, draft.is_active, kind.version
    )


def _board(board: EditedBoard) -> AdminBoard:
    draft = board.draft
    return AdminBoard(
        id=board.id,
        slug=draft.slug,
        name=draft.name,
        order=draft.order,
        aggregate=draft.aggregate,
        ties=draft.ties,
        period=draft.period,
        time_zone=draft.time_zone,
        action_types=None if draft.action_types is None else list(draft.action_types),
        daily_points_cap=draft.daily_points_cap,
        is_default=board.is_default,
        state=board.state,
        archived_at=board.archived_at,
        version=board.version,
    )
