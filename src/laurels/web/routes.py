"""The table of every endpoint. To add one: a struct in `wire`, a function in `handlers`, an entry here."""

from __future__ import annotations

from ..domain.errors import Code
from . import wire
from .call import Route
from .handlers import accounts, actions, boards, operations, pages
from .socket import live

_LEDGER_AWAY = (Code.DATABASE_UNAVAILABLE,)
_WRITE = (Code.OVERLOADED, Code.DATABASE_UNAVAILABLE, Code.OUTCOME_UNKNOWN)
_VERDICTS = (
    Code.ACTION_TYPE_UNKNOWN,
    Code.ACTION_TYPE_INACTIVE,
    Code.COMPLETED_IN_FUTURE,
    Code.COOLDOWN_ACTIVE,
    Code.DAILY_CAP_REACHED,
    Code.TOTAL_CAP_REACHED,
    Code.HOUR_CAP_REACHED,
    Code.MINUTE_CAP_REACHED,
    Code.DAILY_POINTS_REACHED,
    Code.NOT_STARTED,
    Code.ENDED,
    Code.COMPLETED_TOO_LONG_AGO,
    Code.METADATA_INVALID,
    Code.REQUIREMENT_MISSING,
    Code.ALREADY_CLAIMED,
    Code.SCORE_OVERFLOW,
    Code.ACTION_UNWRITABLE,
)

_ACTIONS = (
    Route(
        method="POST",
        path="/api/actions/complete",
        handler=actions.complete_action,
        tag="Actions",
        summary="Complete an action",
        description=(
            "Sends a fact; the server decides what it is worth. 201 is sent after COMMIT: the points are in the "
            "ledger, exactly once. The same action_identifier again answers 200 with the same receipt, so an "
            "unknown outcome (a lost reply, 503) is settled by sending it again."
        ),
        access="user",
        limit="user",
        body=wire.CompleteAction,
        replies={201: wire.Receipt, 200: wire.Receipt},
        problems=(Code.IDENTIFIER_CONFLICT, *_VERDICTS, *_WRITE),
    ),
    Route(
        method="POST",
        path="/api/actions/batch",
        handler=actions.complete_batch,
        tag="Actions",
        summary="Complete up to 1,000 actions in one commit",
        description="A result per item, in order. Refusals of single items are named there; their neighbours count.",
        access="user",
        limit="user",
        body=wire.CompleteBatch,
        body_limit=1024 * 1024,
        replies={200: wire.BatchReceipt},
        problems=_WRITE,
    ),
    Route(
        method="GET",
        path="/api/receipts/{action_identifier}",
        handler=actions.get_receipt,
        tag="Actions",
        summary="The receipt of one of my actions",
        access="user",
        limit="user",
        params=wire.ReceiptQuery,
        replies={200: wire.Receipt},
        problems=(Code.RECEIPT_UNKNOWN, *_LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/action-types",
        handler=actions.list_action_types,
        tag="Actions",
        summary="What can be completed",
        replies={200: wire.ActionTypes},
    ),
)

_BOARDS = (
    Route(
        method="GET",
        path="/api/scoreboard",
        handler=boards.get_scoreboard,
        tag="Boards",
        summary="The top of the default board",
        description="Carries an ETag; send it back as If-None-Match and an unchanged board answers 304.",
        params=wire.TopQuery,
        replies={200: wire.Scoreboard, 304: None},
        problems=_LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/boards",
        handler=boards.list_boards,
        tag="Boards",
        summary="All boards",
        replies={200: wire.Boards},
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}",
        handler=boards.get_board,
        tag="Boards",
        summary="The top of a board's present window",
        params=wire.BoardQuery,
        replies={200: wire.Scoreboard, 304: None},
        problems=(Code.BOARD_UNKNOWN, *_LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/around/{username}",
        handler=boards.get_around,
        tag="Boards",
        summary="A user's place with its neighbours",
        params=wire.AroundQuery,
        replies={200: wire.Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *_LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/rank/{username}",
        handler=boards.get_rank,
        tag="Boards",
        summary="A user's rank and score",
        params=wire.RankQuery,
        replies={200: wire.PlaceOnBoard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *_LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/live",
        handler=live,
        tag="Boards",
        summary="A board, live (WebSocket)",
        description=(
            'Upgrade to WebSocket. First a text frame {"type":"board",…} with the members of Scoreboard, then one '
            'whenever the top list changed, at most ten a second; {"type":"heartbeat"} every 25 seconds. '
            "Close codes: 1001 come back later, 4008 you read too slowly (come back), 4404 there is no such board, "
            "1008 you sent something (clients have nothing to say)."
        ),
        params=wire.LiveQuery,
        replies={101: None},
        problems=(Code.UPGRADE_REQUIRED, Code.TOO_MANY_SOCKETS, *_LEDGER_AWAY),
    ),
)

_ACCOUNTS = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=accounts.register,
        tag="Accounts",
        summary="Create an account and log in",
        description="Names that look like an existing one are taken too.",
        limit="login",
        body=wire.Register,
        replies={201: wire.Tokens},
        problems=(Code.USERNAME_INVALID, Code.USERNAME_TAKEN, Code.EMAIL_TAKEN, Code.OVERLOADED, *_LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/login",
        handler=accounts.login,
        tag="Accounts",
        summary="Log in",
        limit="login",
        body=wire.Login,
        replies={200: wire.Tokens},
        problems=(Code.CREDENTIALS_WRONG, Code.BANNED, Code.OVERLOADED, *_LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/refresh",
        handler=accounts.refresh,
        tag="Accounts",
        summary="Trade a refresh token for new tokens",
        description="A refresh token is good for one use. Presented twice, every token of its log-in ends.",
        body=wire.Refresh,
        replies={200: wire.Tokens},
        problems=(Code.REFRESH_INVALID, *_LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=accounts.logout,
        tag="Accounts",
        summary="End this log-in",
        body=wire.Refresh,
        replies={204: None},
        problems=_LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/me",
        handler=accounts.get_me,
        tag="Accounts",
        summary="My places on every board, and my recent actions",
        access="user",
        limit="user",
        params=wire.MeQuery,
        replies={200: wire.Me},
        problems=(Code.USER_UNKNOWN, *_LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=accounts.jwks,
        tag="Accounts",
        summary="The public keys of access tokens",
        replies={200: wire.Jwks},
    ),
)

_OPERATIONS = (
    Route(
        method="GET",
        path="/livez",
        handler=operations.livez,
        tag="Operations",
        summary="The process answers",
        limit="none",
        replies={200: wire.Liveness},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=operations.readyz,
        tag="Operations",
        summary="The node serves, or what is missing",
        limit="none",
        replies={200: wire.Readiness, 503: wire.Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=operations.metrics,
        tag="Operations",
        summary="Prometheus metrics",
        limit="none",
        replies={200: None},
        media="text/plain",
    ),
    Route(
        method="POST",
        path="/api/admin/index/verify",
        handler=operations.verify_index,
        tag="Operations",
        summary="Compare this node's index with the ledger",
        access="admin",
        limit="user",
        replies={200: wire.IndexReport},
        problems=_LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/index/rebuild",
        handler=operations.rebuild_index,
        tag="Operations",
        summary="Rebuild this node's index from the ledger",
        access="admin",
        limit="user",
        replies={200: wire.IndexReport},
        problems=_LEDGER_AWAY,
    ),
)

_PAGES = (
    Route(method="GET", path="/", handler=pages.board_page, tag="Pages", summary="The live board", documented=False),
    Route(method="GET", path="/api/docs", handler=pages.docs_page, tag="Pages", summary="These docs", documented=False),
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=pages.openapi,
        tag="Pages",
        summary="The OpenAPI document",
        documented=False,
    ),
    Route(
        method="GET",
        path="/static/{name}",
        handler=pages.static_file,
        tag="Pages",
        summary="Files of the pages",
        documented=False,
    ),
)

ROUTES: tuple[Route, ...] = _ACTIONS + _BOARDS + _ACCOUNTS + _OPERATIONS + _PAGES
