"""Reading boards."""

from __future__ import annotations

from ....domain.errors import Code
from ....ranking.scoreboards import Scoreboard
from ...http.call import Route
from ..handlers import boards
from ..wire.boards import (
    AroundQuery,
    BoardQuery,
    Boards,
    PlaceOnBoard,
    RankQuery,
    TopQuery,
    WindowQuery,
    Windows,
    WindowsQuery,
)
from .codes import LEDGER_AWAY, RANKS_AWAY

BOARDS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/scoreboard",
        handler=boards.get_scoreboard,
        tag="Boards",
        summary="The top of the default board",
        description="Carries an ETag; send it back as If-None-Match and an unchanged board answers 304.",
        access="viewer",
        params=TopQuery,
        replies={200: Scoreboard, 304: None},
        problems=RANKS_AWAY,
    ),
    Route(
        method="GET",
        path="/api/boards",
        handler=boards.list_boards,
        tag="Boards",
        summary="All boards",
        replies={200: Boards},
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}",
        handler=boards.get_board,
        tag="Boards",
        summary="The top of a board's present window",
        access="viewer",
        params=BoardQuery,
        replies={200: Scoreboard, 304: None},
        problems=(Code.BOARD_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows",
        handler=boards.list_windows,
        tag="Boards",
        summary="The windows a board has had",
        description="The present one first. A board for all time has none: its only window never began.",
        params=WindowsQuery,
        replies={200: Windows},
        problems=(Code.BOARD_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows/{window}",
        handler=boards.get_window,
        tag="Boards",
        summary="The top of one window",
        description="From the ledger and at most a minute old; movement is null, for nobody moves in what is over.",
        params=WindowQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.WINDOW_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/around/{username}",
        handler=boards.get_around,
        tag="Boards",
        summary="A user's place with its neighbours",
        access="viewer",
        params=AroundQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/rank/{username}",
        handler=boards.get_rank,
        tag="Boards",
        summary="A user's rank and score",
        access="viewer",
        params=RankQuery,
        replies={200: PlaceOnBoard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
)
