"""Reading boards. Top lists are ready bytes with an ETag; a read costs no query."""

from __future__ import annotations

from ....domain.boards import Board
from ....domain.errors import Code, LaurelsError
from ....ledger.catalogue import windows
from ....ranking.scoreboards import ReadyBoard, Scoreboard
from ...auth.access_tokens import Principal
from ...http.call import JSON, Call, Reply
from ..wire.boards import BoardInfo, Boards, PlaceOnBoard, WindowInfo, Windows

_READ = {"Content-Type": JSON, "Cache-Control": "no-cache"}


async def get_scoreboard(call: Call) -> Reply | Scoreboard:
    return await _top(call, call.services.catalogue.default_board.slug)


async def get_board(call: Call) -> Reply | Scoreboard:
    return await _top(call, call.params.slug)


async def get_around(call: Call) -> Scoreboard:
    services, params = call.services, call.params
    services.catalogue.board(params.slug)
    user_id = (await services.directory.who(params.username)).id
    read = services.scoreboards.around_as if shadow_of(call) == user_id else services.scoreboards.around
    around = await read(params.slug, user_id, params.radius)
    if not around.rows:
        raise LaurelsError(Code.USER_UNKNOWN, f"{params.username!r} has not scored on this board yet.")
    return around


async def get_rank(call: Call) -> PlaceOnBoard:
    board = call.services.catalogue.board(call.params.slug)
    who = await call.services.directory.who(call.params.username)
    return await place_on(call, board, who.id, who.username)


async def list_boards(call: Call) -> Boards:
    boards = call.services.catalogue.boards.values()
    return Boards(
        [BoardInfo(b.slug, b.name, b.is_default, b.order, b.aggregate, b.ties, b.period, b.time_zone) for b in boards]
    )


async def list_windows(call: Call) -> Windows:
    params = call.params
    board = call.services.catalogue.board(params.slug)
    found = await windows.before(call.services.reads, board, params.before, params.limit)
    shown = [WindowInfo(w.id, w.span.starts_at, w.span.ends_at) for w in found if w.span.starts_at and w.span.ends_at]
    return Windows(shown, shown[-1].id if len(found) == params.limit else None)


async def get_window(call: Call) -> Reply:
    board = call.services.catalogue.board(call.params.slug)
    body = await call.services.archive.top(board, call.params.window, call.params.limit)
    return Reply(body, 200, dict(_READ))


async def place_on(call: Call, board: Board, user_id: int, username: str) -> PlaceOnBoard:
    """Where a user stands on one board, at the instant that epoch and seq name."""
    services = call.services
    window = await services.catalogue.window(board)
    if shadow_of(call) == user_id:
        ranking = await services.scoreboards.shadows.place(window, user_id)
    else:
        ranking = await services.index.places(window, [user_id])
    place = ranking.places[0] if ranking.places else None
    return PlaceOnBoard(
        board=board.slug,
        username=username,
        rank=None if place is None else place.rank,
        score=None if place is None else place.score,
        total_users=ranking.total,
        epoch=ranking.epoch,
        seq=ranking.seq,
        rank_state=ranking.rank_state,
    )


def shadow_of(call: Call) -> int | None:
    """The user who asks, if shadowed: such a user sees boards with the own standing on them."""
    caller = call.caller
    if isinstance(caller, Principal) and caller.user_id in call.services.directory.shadowed:
        return caller.user_id
    return None


async def _top(call: Call, slug: str) -> Reply | Scoreboard:
    shadow, scoreboards = shadow_of(call), call.services.scoreboards
    if shadow is not None:
        return await scoreboards.top_as(shadow, slug, call.params.limit)
    return _ready(call, await scoreboards.top(slug, call.params.limit))


def _ready(call: Call, ready: ReadyBoard) -> Reply:
    headers = {**_READ, "ETag": ready.etag}
    if call.already_has(ready.etag):
        return Reply(b"", 304, headers)
    return Reply(ready.body, 200, headers)
