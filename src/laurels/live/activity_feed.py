"""`activity`: a sample of what is completed, for tickers. The latest few, and how many there were.

Only what counts on a board is told, and only of people who show on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from ..concurrency.periodic import run_periodically
from ..domain.actions import Recorded
from ..domain.errors import LaurelsError
from ..ledger.accounts.directory import PersonRef
from ..ledger.write.batch import CommittedBatch
from . import protocol
from .client_connection import ClientConnection, FrameEncoder, broadcast, in_slices

log = structlog.get_logger(__name__)

BROADCAST_SECONDS = 0.5
SAMPLE = 10

LoadPeople = Callable[[Iterable[int]], Awaitable[Mapping[int, PersonRef]]]


@dataclass(slots=True)
class _Ticker:
    """What was completed since the last frame, and who wants to know."""

    connections: dict[FrameEncoder, dict[ClientConnection, None]] = field(default_factory=dict)
    latest: deque[Recorded] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    count: int = 0


class ActivityFeed:
    """Run `tell` in a task. Costs nothing for boards whose activity nobody follows."""

    def __init__(self, names: LoadPeople, type_ids: Callable[[], Mapping[str, int]]) -> None:
        self._names = names
        self._type_ids = type_ids
        self._tickers: dict[str, _Ticker] = {}

    def subscribe(self, connection: ClientConnection, board: str, id_: int | None) -> None:
        said = protocol.Subscribed(id=protocol.given(id_), channel=protocol.ACTIVITY + board, resumed="current")
        connection.send(connection.encode_frame("subscribed", "", protocol.encode(said)))
        ticker = self._tickers.setdefault(board, _Ticker())
        ticker.connections.setdefault(connection.encode_frame, {})[connection] = None

    def unsubscribe(self, connection: ClientConnection, board: str) -> None:
        ticker = self._tickers.get(board)
        if ticker is None:
            return
        ticker.connections.get(connection.encode_frame, {}).pop(connection, None)
        if not any(ticker.connections.values()):
            del self._tickers[board]

    def on_batch_committed(self, batch: CommittedBatch) -> None:
        """What a COMMIT of this node brought. O(actions) for each board that somebody follows."""
        for board, ticker in self._tickers.items():
            moved = {
                change.user_id: change.window.board
                for change in batch.changes
                if change.window.board.slug == board and not change.standing.hidden
            }
            ids = self._type_ids() if moved else {}
            for action in batch.new_actions:
                on = moved.get(action.user_id)
                if on is not None and action.counted and on.takes(ids.get(action.action_type, 0)):
                    ticker.latest.append(action)
                    ticker.count += 1

    async def broadcast_loop(self) -> None:
        await run_periodically(BROADCAST_SECONDS, self._broadcast_all)

    async def _broadcast_all(self) -> None:
        for board, ticker in list(self._tickers.items()):
            if ticker.count:
                await self._broadcast(board, ticker)

    async def _broadcast(self, board: str, ticker: _Ticker) -> None:
        shown, count = list(ticker.latest), ticker.count
        ticker.latest.clear()
        ticker.count = 0
        try:
            people = await self._names({action.user_id for action in shown})
        except LaurelsError as error:
            log.warning("activity not told", board=board, reason=error.detail)
            return
        completions = [
            protocol.RecentAction(people[a.user_id].username, a.action_type, a.counted, a.completed_at)
            for a in shown
            if a.user_id in people
        ]
        frame = protocol.Activity(
            channel=protocol.ACTIVITY + board, skipped=count - len(completions), completions=completions
        )
        message = protocol.encode(frame)
        for encode_frame, connections in list(ticker.connections.items()):
            ready = encode_frame("activity", "", message)
            async for some in in_slices(list(connections)):
                broadcast(
                    [connection for connection in some if connection.ready and connection in connections], ready, "", ""
                )
