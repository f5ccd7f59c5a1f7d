"""`activity`: a sample of what is completed, for tickers. The latest few, and how many there were.

Only what counts on a board is told, and only of people who show on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from ..domain.actions import Recorded
from ..domain.errors import LaurelsError
from ..ledger.batch import CommittedBatch
from ..ledger.directory import Person
from . import protocol
from .audience import in_slices
from .viewer import Dress, Viewer, write_each

log = structlog.get_logger(__name__)

EVERY = 0.5
SAMPLE = 10

Names = Callable[[Iterable[int]], Awaitable[Mapping[int, Person]]]


@dataclass(slots=True)
class _Ticker:
    """What was completed since the last frame, and who wants to know."""

    viewers: dict[Dress, dict[Viewer, None]] = field(default_factory=dict)
    latest: deque[Recorded] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    count: int = 0


class Activity:
    """Run `tell` in a task. Costs nothing for boards whose activity nobody follows."""

    def __init__(self, names: Names, type_ids: Callable[[], Mapping[str, int]]) -> None:
        self._names = names
        self._type_ids = type_ids
        self._tickers: dict[str, _Ticker] = {}

    def join(self, viewer: Viewer, board: str, id_: int | None) -> None:
        said = protocol.Subscribed(id=protocol.given(id_), channel=protocol.ACTIVITY + board, resumed="current")
        viewer.send(viewer.dress("subscribed", "", protocol.encode(said)))
        ticker = self._tickers.setdefault(board, _Ticker())
        ticker.viewers.setdefault(viewer.dress, {})[viewer] = None

    def leave(self, viewer: Viewer, board: str) -> None:
        ticker = self._tickers.get(board)
        if ticker is None:
            return
        ticker.viewers.get(viewer.dress, {}).pop(viewer, None)
        if not any(ticker.viewers.values()):
            del self._tickers[board]

    def completed(self, batch: CommittedBatch) -> None:
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

    async def tell(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            for board, ticker in list(self._tickers.items()):
                if ticker.count:
                    await self._tell(board, ticker)

    async def _tell(self, board: str, ticker: _Ticker) -> None:
        shown, count = list(ticker.latest), ticker.count
        ticker.latest.clear()
        ticker.count = 0
        try:
            people = await self._names({action.user_id for action in shown})
        except LaurelsError as error:
            log.warning("activity not told", board=board, reason=error.detail)
            return
        completions = [
            protocol.Completion(people[a.user_id].username, a.action_type, a.counted, a.completed_at)
            for a in shown
            if a.user_id in people
        ]
        frame = protocol.Activity(
            channel=protocol.ACTIVITY + board, skipped=count - len(completions), completions=completions
        )
        message = protocol.encode(frame)
        for dress, viewers in list(ticker.viewers.items()):
            ready = dress("activity", "", message)
            async for some in in_slices(list(viewers)):
                write_each([viewer for viewer in some if viewer.ready and viewer in viewers], ready, "", "")
