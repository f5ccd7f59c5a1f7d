"""My data: explained, handed out, erased."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import mine
from ..wire.mine import EraseMe, LedgerQuery, MyData, MyLedger
from .codes import LEDGER_AWAY, RANKS_AWAY

MINE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/me/ledger",
        handler=mine.get_my_ledger,
        tag="Accounts",
        summary="My score, row by row",
        description=(
            "Every row of the ledger that is mine, newest first: what it counts and why, what undid it, and the sum."
        ),
        access="user",
        limit="user",
        params=LedgerQuery,
        replies={200: MyLedger},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/me/export",
        handler=mine.export_me,
        tag="Accounts",
        summary="Everything that is kept of me",
        access="user",
        limit="user",
        replies={200: MyData},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="DELETE",
        path="/api/me",
        handler=mine.erase_me,
        tag="Accounts",
        summary="Erase my account",
        description=(
            "Can't be undone. Name, e-mail address, password, log-ins and the metadata of actions are gone; the rows "
            "of the ledger stay under a pseudonym, because the ranks and archives of others rest on them. "
            "The last admin stays."
        ),
        access="user",
        limit="login",
        body=EraseMe,
        replies={204: None},
        problems=(Code.CREDENTIALS_WRONG, Code.USER_UNKNOWN, Code.LAST_ADMIN, *LEDGER_AWAY),
    ),
)
