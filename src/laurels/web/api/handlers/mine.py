"""My rows in the ledger, all that is kept of me, and its erasure."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import hdrs, web

from ....domain.errors import Code, LaurelsError
from ....ledger.accounts import erasure
from ....ledger.queries import score_history
from ....ledger.queries.score_history import LedgerEntry
from ...http.call import JSON, Call, Reply, encode
from ...http.responses import SECURITY_HEADERS
from ..wire.mine import LedgerRow, MyLedger
from .accounts import knows_password
from .boards import place_on

EXPORT_PAGE = 1_000
SLOW_SECONDS = 30.0
"""How long one page of an export may take to be read before the connection is closed."""


async def get_my_ledger(call: Call) -> MyLedger:
    query = call.params
    found = await score_history.of_user(call.services.reads, call.user.user_id, query.cursor, query.limit)
    return MyLedger(found.score, found.total, [_row(entry) for entry in found.page.rows], found.page.next)


async def export_me(call: Call) -> Reply | web.StreamResponse:
    """Streamed: the rows of the ledger are read and sent page by page, so that their number does not matter."""
    head = await _head(call)
    if call.request.method == hdrs.METH_HEAD:
        return Reply()
    response = web.StreamResponse(
        headers=SECURITY_HEADERS
        | {"Content-Type": JSON, "Cache-Control": "no-store", "X-Request-ID": call.request_id}
        | {"Content-Disposition": 'attachment; filename="laurels-export.json"'}
    )
    await response.prepare(call.request)
    await _write(response, head[:-1] + b',"ledger":[')
    before: int | None = None
    while page := await score_history.entries_before(call.services.reads, call.user.user_id, before, EXPORT_PAGE):
        rows = encode([_row(entry) for entry in page])
        await _write(response, (b"," if before is not None else b"") + rows[1:-1])
        before = page[-1].id
    await _write(response, b"]}")
    await response.write_eof()
    return response


async def erase_me(call: Call) -> Reply:
    services, user, body = call.services, call.user, call.body
    found = await services.accounts.credentials(user.user_id)
    if found is None:
        raise LaurelsError(Code.USER_UNKNOWN, "This account no longer exists.")
    account, stored = found
    confirmed = account.username == body.username and (
        stored is None or await knows_password(call, account, stored, body.password or "")
    )
    if not confirmed:
        raise LaurelsError(Code.CREDENTIALS_WRONG, "Send your username as it is written, and your password.")
    await erasure.erase_own(services.pool, call.actor, user.user_id, "asked for by the user")
    await services.wait_for_propagation()
    return Reply(b"", 204, {})


async def _head(call: Call) -> bytes:
    """All but the ledger, as the beginning of MyData."""
    user_id, boards = call.user.user_id, call.services.catalogue.boards.values()
    kept = await erasure.kept_of(call.services.reads, user_id)
    name = (await call.services.directory.people([user_id]))[user_id].username
    places = [await place_on(call, board, user_id, name) for board in boards]
    return encode({"user": kept.person, "places": places, "counters": kept.counters, "sessions": kept.sessions})


async def _write(response: web.StreamResponse, data: bytes) -> None:
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
        reason=entry.words,
        reverses=entry.reverses,
        reversed_by=entry.reversed_by,
        metadata=None if entry.metadata is None else msgspec.json.decode(entry.metadata),
        completed_at=entry.completed_at,
        created_at=entry.created_at,
    )
