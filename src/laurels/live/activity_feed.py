"""The channel `activity`: a sample of completed actions, for tickers. The latest few, and how many more there were.

Only actions that count on the board are sent, and only of users who are visible on it.
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
    """Subscribers of one board, and what was completed since their last frame."""

    connections: dict[FrameEncoder, dict[ClientConnection, None]] = field(default_factory=dict)
    latest: deque[Recorded] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    count: int = 0


class ActivityFeed:
    """Run `broadcast_loop` in a task. Boards without subscribers cost nothing."""

    def __init__(self, load_people: LoadPeople, type_ids: Callable[[], Mapping[str, int]]) -> None:
        self._load_people = load_people
        self._type_ids = type_ids
        self._tickers: dict[str, _Ticker] = {}

    def subscribe(self, connection: ClientConnection, board: str, id_: int | None) -> None:
        confirmation = protocol.Subscribed(id=protocol.given(id_), channel=protocol.ACTIVITY + board, resumed="current")
        connection.send(connection.encode_frame("subscribed", "", protocol.encode(confirmation)))
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
        """Add what this node committed. O(actions) for each board with subscribers."""
        for board, ticker in self._tickers.items():
            boards_moved = {
                change.user_id: change.window.board
                for change in batch.changes
                if change.window.board.slug == board and not change.standing.hidden
            }
            ids = self._type_ids() if boards_moved else {}
            for action in batch.new_actions:
                counts_on = boards_moved.get(action.user_id)
                if counts_on is not None and action.counted and counts_on.takes(ids.get(action.action_type, 0)):
                    ticker.latest.append(action)
                    ticker.count += 1

    async def broadcast_loop(self) -> None:
        """Send what was completed, twice a second, until cancelled."""
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
            people = await self._load_people({action.user_id for action in shown})
        except LaurelsError as error:
            log.warning("activity not sent", board=board, reason=error.detail)
            return
        completions = [
            protocol.ActivityItem(people[a.user_id].username, a.action_type, a.counted, a.completed_at)
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
