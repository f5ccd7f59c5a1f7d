"""A user's own ledger rows, export and erasure."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...app import accounts, own_data
from ...app.boards import PlaceOnBoard
from ...app.context import AccountContext, OwnDataContext
from ...domain.errors import Code
from ...ledger.accounts.erasure import Counter, KeptSession, PersonalData
from ...ledger.queries.score_history import LedgerEntry
from ..fields import AnyUsername, ListQuery, Request
from ..http.aiohttp_types import StreamResponse, hdrs
from ..http.responses import JSON, SECURITY_HEADERS, Reply, encode
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY

SLOW_SECONDS = 30.0
"""How long the client may take to read one page of an export before the connection is closed."""


class LedgerQuery(ListQuery, frozen=True):
    """Newest first."""


class LedgerRow(msgspec.Struct, frozen=True):
    """One row of the ledger. `points` is what it counts now: 0 while it is held and after it was rejected.

    `kind`: completion, reversal (of the row that `reverses` names) or adjustment (by an operator). `reason` is null
    when the row counts its action type's base score. `reversed_by` names the row that reversed this one.
    """

    action_id: int
    kind: str
    action_type: str | None
    action_identifier: str | None
    status: str
    points: int
    reason: str | None
    reverses: int | None
    reversed_by: int | None
    metadata: dict[str, Any] | None
    completed_at: datetime
    created_at: datetime


class MyLedger(msgspec.Struct, frozen=True):
    """`sum` is the sum of the points of all rows, `score` the score on the default board: equal if that board sums.

    `next` is the cursor of the page with older rows, or null when there are none.
    """

    score: int
    sum: int
    rows: list[LedgerRow]
    next: str | None


class MyData(msgspec.Struct, frozen=True):
    """Everything that is stored about a user. `sessions` are the newest 1,000. Streamed, newest rows first."""

    user: PersonalData
    places: list[PlaceOnBoard]
    counters: list[Counter]
    sessions: list[KeptSession]
    ledger: list[LedgerRow]


class EraseMe(Request, frozen=True):
    """Both are required, so that neither a mistake nor a stolen token erases an account.

    `password` may be left out for an account that has none because its tokens come from an external issuer.
    """

    username: AnyUsername
    password: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


async def get_my_ledger(context: OwnDataContext, call: Call) -> MyLedger:
    """Answer with a page of the caller's ledger rows."""
    query = call.params
    found = await own_data.read_score_history(context, call.user.user_id, query.cursor, query.limit)
    return MyLedger(found.score, found.total, [_row(entry) for entry in found.page.rows], found.page.next)


async def export_me(context: OwnDataContext, call: Call) -> Reply | StreamResponse:
    """Stream everything that is stored about the caller, a page of the ledger at a time."""
    user_id = call.user.user_id
    head = encode(await own_data.read_record(context, user_id))
    if call.request.method == hdrs.METH_HEAD:
        return Reply()
    response = StreamResponse(
        headers=SECURITY_HEADERS
        | {"Content-Type": JSON, "Cache-Control": "no-store", "X-Request-ID": call.request_id}
        | {"Content-Disposition": 'attachment; filename="laurels-export.json"'}
    )
    await response.prepare(call.request)
    await _write(response, head[:-1] + b',"ledger":[')
    separator = b""
    async for page in own_data.ledger_pages(context, user_id):
        await _write(response, separator + encode([_row(entry) for entry in page])[1:-1])
        separator = b","
    await _write(response, b"]}")
    await response.write_eof()
    return response


async def erase_me(context: AccountContext, call: Call) -> Reply:
    """Answer 204 when the caller's personal data is erased."""
    body = call.body
    await accounts.erase(context, call.origin, call.actor, call.user.user_id, body.username, body.password)
    return Reply(b"", 204, {})


async def _write(response: StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(SLOW_SECONDS):
            await response.write(data)
    except TimeoutError as error:
        raise ConnectionResetError("the export was not read") from error


def _row(entry: LedgerEntry) -> LedgerRow:
    return LedgerRow(
        action_id=entry.id,
        kind=entry.kind,
        action_type=entry.action_type,
        action_identifier=entry.action_identifier,
        status=entry.status,
        points=entry.counted,
        reason=entry.explanation,
        reverses=entry.reverses,
        reversed_by=entry.reversed_by,
        metadata=None if entry.metadata is None else msgspec.json.decode(entry.metadata),
        completed_at=entry.completed_at,
        created_at=entry.created_at,
    )


MINE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/me/ledger",
        handler=get_my_ledger,
        tag="Accounts",
        summary="Get my score row by row",
        description=(
            "Returns my rows of the ledger, newest first: what each counts and why, what reversed it, and the sum."
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
        handler=export_me,
        tag="Accounts",
        summary="Export everything that is stored about me",
        access="user",
        limit="user",
        replies={200: MyData},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="DELETE",
        path="/api/me",
        handler=erase_me,
        tag="Accounts",
        summary="Erase my account",
        description=(
            "Can't be undone. Name, e-mail address, password, log-ins and the metadata of actions are deleted. The "
            "rows of the ledger stay under a pseudonym, because ranks and archives of other users depend on them. "
            "The last admin can't be erased."
        ),
        access="user",
        limit="login",
        body=EraseMe,
        replies={204: None},
        problems=(Code.CREDENTIALS_WRONG, Code.USER_UNKNOWN, Code.LAST_ADMIN, *LEDGER_AWAY),
    ),
)
