"""Action types, as operators read, change and try them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...app import catalogue
from ...app.admin_context import AdminContext
from ...app.catalogue import DryRunInput
from ...domain.errors import Code
from ...domain.instants import in_utc
from ...domain.metadata import canonical_metadata
from ...domain.rules import ScoringRules
from ...domain.standings import INT64_MAX, INT64_MIN
from ...ledger.catalogue.type_editor import EditedType, TypeDraft
from ..fields import END, AnyUsername, ListQuery, Reason, Request, TypeName, Version, changes_in, given
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY

Score = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX, examples=[10])]


Description = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*" + END, examples=["Finish a lesson"])]


class CreateActionType(Request, frozen=True):
    name: TypeName
    base_score: Score
    description: Description = ""
    scoring_rules: ScoringRules = ScoringRules()
    is_active: bool = True
    reason: Reason | None = None


class EditActionType(Request, frozen=True):
    """Members left out stay unchanged. `version` is the one that the edit is based on."""

    version: Version
    base_score: Score | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scoring_rules: ScoringRules | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    reason: Reason | None = None


class AdminActionType(msgspec.Struct, frozen=True):
    id: int
    name: str
    description: str
    base_score: int
    scoring_rules: ScoringRules
    is_active: bool
    version: int


class AdminActionTypes(msgspec.Struct, frozen=True):
    action_types: list[AdminActionType]
    next: str | None


class TryAction(Request, frozen=True):
    """A hypothetical action of `username`. `base_score` and `scoring_rules` replace those in force.

    `by_server`: as if your app's server sent it, which needs no ticket.
    """

    username: AnyUsername
    metadata: dict[str, Any] | None = None
    completed_at: Annotated[datetime, Meta(tz=True)] | None = None
    by_server: bool = False
    base_score: Score | UnsetType = UNSET
    scoring_rules: ScoringRules | UnsetType = UNSET


class TrialResult(msgspec.Struct, frozen=True):
    """`rule` names the member of the scoring rules that refuses the action. Nothing was written."""

    verdict: Literal["awarded", "held", "refused"]
    score: int | None
    new_score: int | None
    reason: str | None
    code: str | None
    detail: str | None
    rule: str | None
    retry_at: datetime | None


class ActionTypesQuery(ListQuery, frozen=True):
    active: bool | UnsetType = UNSET
    prefix: TypeName | None = None


class ActionTypeQuery(Request, frozen=True):
    name: TypeName


async def list_all_action_types(context: AdminContext, call: Call) -> AdminActionTypes:
    """Return a page of action types, oldest first."""
    query = call.params
    found = await catalogue.list_types(
        context, query.cursor, query.limit, active=given(query.active), prefix=query.prefix
    )
    return AdminActionTypes([_action_type(kind) for kind in found.rows], found.next)


async def get_action_type(context: AdminContext, call: Call) -> AdminActionType:
    """Return an action type with its rules."""
    return _action_type(await catalogue.get_type(context, call.params.name))


async def create_action_type(context: AdminContext, call: Call) -> Reply:
    """Create an action type; reply 201."""
    body = call.body
    draft = TypeDraft(body.name, body.description, body.base_score, body.scoring_rules, body.is_active)
    created = await catalogue.create_type(context, draft, call.actor, body.reason)
    return json_reply(_action_type(created), 201)


async def edit_action_type(context: AdminContext, call: Call) -> AdminActionType:
    """Change the members that were sent."""
    changes = changes_in(call.body)
    if "scoring_rules" in changes:
        changes["rules"] = changes.pop("scoring_rules")
    edited = await catalogue.edit_type(
        context,
        call.params.name,
        changes,
        call.actor,
        call.body.reason,
        version=call.body.version,
    )
    return _action_type(edited)


async def try_action_type(context: AdminContext, call: Call) -> TrialResult:
    """Judge a hypothetical action; nothing is written."""
    body = call.body
    wanted = DryRunInput(
        username=body.username,
        metadata=canonical_metadata(body.metadata, "$.metadata"),
        completed_at=in_utc(body.completed_at, "$.completed_at"),
        by_server=body.by_server,
        base_score=given(body.base_score),
        rules=given(body.scoring_rules),
    )
    judged = await catalogue.dry_run_type(context, call.params.name, wanted)
    return TrialResult(**asdict(judged))


def _action_type(kind: EditedType) -> AdminActionType:
    draft = kind.draft
    return AdminActionType(
        kind.id, draft.name, draft.description, draft.base_score, draft.rules, draft.is_active, kind.version
    )


_TAG = "Admin: catalogue"


ADMIN_TYPES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/action-types",
        handler=list_all_action_types,
        tag=_TAG,
        summary="List all action types with their rules",
        access="admin",
        limit="user",
        params=ActionTypesQuery,
        replies={200: AdminActionTypes},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/action-types",
        handler=create_action_type,
        tag=_TAG,
        summary="Create an action type",
        description="Every node applies it within a second. Invalid rules are refused with the path of the mistake.",
        access="admin",
        scope="catalogue:write",
        limit="user",
        body=CreateActionType,
        replies={201: AdminActionType},
        problems=(Code.ALREADY_EXISTS, Code.CATALOGUE_FULL, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/action-types/{name}",
        handler=get_action_type,
        tag=_TAG,
        summary="Get an action type with its rules",
        access="admin",
        limit="user",
        params=ActionTypeQuery,
        replies={200: AdminActionType},
        problems=(Code.NOT_FOUND, *LEDGER_AWAY),
    ),
    Route(
        method="PATCH",
        path="/api/admin/action-types/{name}",
        handler=edit_action_type,
        tag=_TAG,
        summary="Change an action type",
        description=(
            "Members left out stay unchanged. `version` must be the one that you read: if the type was changed "
            "meanwhile, nothing is written. Points already awarded do not change."
        ),
        access="admin",
        scope="catalogue:write",
        limit="user",
        params=ActionTypeQuery,
        body=EditActionType,
        replies={200: AdminActionType},
        problems=(Code.NOT_FOUND, Code.VERSION_CONFLICT, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/action-types/{name}/try",
        handler=try_action_type,
        tag=_TAG,
        summary="Try the rules on a hypothetical action",
        description="Judged on the user's real counters, also under rules that are not saved yet. Nothing is written.",
        access="admin",
        scope="catalogue:write",
        limit="user",
        params=ActionTypeQuery,
        body=TryAction,
        replies={200: TrialResult},
        problems=(Code.NOT_FOUND, Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
