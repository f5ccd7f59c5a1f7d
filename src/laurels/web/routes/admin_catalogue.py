"""Action types and boards, for operators."""

from __future__ import annotations

from ...domain.errors import Code
from ..call import Route
from ..handlers import admin_catalogue as handlers
from ..wire.admin_catalogue import (
    ActionTypeQuery,
    ActionTypesQuery,
    AdminActionType,
    AdminActionTypes,
    AdminBoard,
    AdminBoardQuery,
    AdminBoards,
    BoardsQuery,
    CreateActionType,
    CreateBoard,
    EditActionType,
    EditBoard,
)
from .codes import LEDGER_AWAY

_TAG = "Admin: catalogue"

ADMIN_CATALOGUE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/action-types",
        handler=handlers.list_all_action_types,
        tag=_TAG,
        summary="All action types with their rules",
        access="admin",
        limit="user",
        params=ActionTypesQuery,
        replies={200: AdminActionTypes},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/action-types",
        handler=handlers.create_action_type,
        tag=_TAG,
        summary="Make an action type",
        description="Every node knows it within a second. Bad rules are refused with the path that is wrong.",
        access="admin",
        limit="user",
        body=CreateActionType,
        replies={201: AdminActionType},
        problems=(Code.ALREADY_EXISTS, Code.CATALOGUE_FULL, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/action-types/{name}",
        handler=handlers.get_action_type,
        tag=_TAG,
        summary="An action type with its rules",
        access="admin",
        limit="user",
        params=ActionTypeQuery,
        replies={200: AdminActionType},
        problems=(Code.NOT_FOUND, *LEDGER_AWAY),
    ),
    Route(
        method="PATCH",
        path="/api/admin/action-types/{name}",
        handler=handlers.edit_action_type,
        tag=_TAG,
        summary="Change an action type",
        description=(
            "Members left out stay as they are. `version` must be the one you read: if somebody changed the type "
            "meanwhile, nothing is written. What was awarded stays as it was."
        ),
        access="admin",
        limit="user",
        params=ActionTypeQuery,
        body=EditActionType,
        replies={200: AdminActionType},
        problems=(Code.NOT_FOUND, Code.VERSION_CONFLICT, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/boards",
        handler=handlers.list_all_boards,
        tag=_TAG,
        summary="All boards, also archived ones and those being filled",
        access="admin",
        limit="user",
        params=BoardsQuery,
        replies={200: AdminBoards},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/boards",
        handler=handlers.create_board,
        tag=_TAG,
        summary="Make a board",
        description="What counted before is folded into it first; then it is shown (`state` becomes open).",
        access="admin",
        limit="user",
        body=CreateBoard,
        replies={201: AdminBoard},
        problems=(Code.ALREADY_EXISTS, Code.CATALOGUE_FULL, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/boards/{slug}",
        handler=handlers.get_admin_board,
        tag=_TAG,
        summary="A board and its version",
        access="admin",
        limit="user",
        params=AdminBoardQuery,
        replies={200: AdminBoard},
        problems=(Code.BOARD_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="PATCH",
        path="/api/admin/boards/{slug}",
        handler=handlers.edit_board,
        tag=_TAG,
        summary="Rename, cap or archive a board",
        description="Order, aggregate, ties, period, time zone and types are fixed for its life: make another board.",
        access="admin",
        limit="user",
        params=AdminBoardQuery,
        body=EditBoard,
        replies={200: AdminBoard},
        problems=(
            Code.BOARD_UNKNOWN,
            Code.VERSION_CONFLICT,
            Code.BOARD_FIXED,
            Code.CATALOGUE_FULL,
            *LEDGER_AWAY,
        ),
    ),
)
