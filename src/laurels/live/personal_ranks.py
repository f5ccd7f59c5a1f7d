"""The channel `me`: each connected user's own score and rank, also when other users changed it.

One call of the index per board serves all users, at most once a second and only for boards that changed. New
subscribers are answered at once, together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..concurrency.periodic import run_periodically
from ..domain.errors import LaurelsError
from ..ranking.scoreboards import PlacesOnBoard
from . import protocol
from .client_connection import ClientConnection, broadcast

UPDATE_SECONDS = 1.0
"""Seconds between two updates."""
USERS_PER_CALL = 1_000
"""Users read in one call: more would block the loop for too long."""
GATHER_SECONDS = 0.02
"""Seconds in which new subscribers are gathered into one call."""

Places = Callable[[str, Sequence[int]], Awaitable[PlacesOnBoard]]
SentPlace = tuple[int | None, int | None]
"""(rank, score)."""


@dataclass(slots=True)
class _Subscriber:
    """`fresh` connections have just subscribed (or were slow) and get every board; the others were sent `sent`."""

    username: str
    fresh: set[ClientConnection] = field(default_factory=set)
    connections: set[ClientConnection] = field(default_factory=set)
    sent: dict[str, SentPlace] = field(default_factory=dict)


class PersonalRanks:
    """Run `send_first` and `send_changes` in tasks."""

    def __init__(self, places: Places, boards: Callable[[], Iterable[str]]) -> None:
        self._places = places
        self._boards = boards
        self._users: dict[int, _Subscriber] = {}
        self._fresh: set[int] = set()
        self._due: set[str] = set()
        self._has_fresh = asyncio.Event()

    def mark_moved(self, board: str) -> None:
        if self._users:
            self._due.add(board)

    def subscribe(self, connection: ClientConnection, confirm: bool, id_: int | None) -> None:
        """Send every board soon, then what changes. `confirm`: send `subscribed` first."""
        if connection.user_id is None:
            return
        if confirm:
            confirmation = protocol.Subscribed(id=protocol.given(id_), channel=protocol.ME, resumed="snapshot")
            connection.send(connection.encode_frame("subscribed", "", protocol.encode(confirmation)))
        user = self._users.setdefault(connection.user_id, _Subscriber(connection.username))
        user.connections.discard(connection)
        user.fresh.add(connection)
        self._fresh.add(connection.user_id)
        self._has_fresh.set()

    def unsubscribe(self, connection: ClientConnection) -> None:
        user = None if connection.user_id is None else self._users.get(connection.user_id)
        if user is None or connection.user_id is None:
            return
        user.connections.discard(connection)
        user.fresh.discard(connection)
        if not user.connections and not user.fresh:
            del self._users[connection.user_id]

    async def send_first(self) -> None:
        """Send every board to new subscribers, until cancelled."""
        while True:
            await self._has_fresh.wait()
            self._has_fresh.clear()
            fresh, self._fresh = self._fresh, set()
            if not await self._send(list(self._boards()), fresh, whole=True):
                self._fresh |= fresh
                self._has_fresh.set()
                await asyncio.sleep(UPDATE_SECONDS)
            await asyncio.sleep(GATHER_SECONDS)

    async def send_changes(self) -> None:
        """Send to all users what changed on boards that moved, until cancelled."""
        await run_periodically(UPDATE_SECONDS, self._send_due)

    async def _send_due(self) -> None:
        due, self._due = self._due.intersection(self._boards()), set()
        if due and not await self._send(sorted(due), self._users, whole=False):
            self._due |= due

    async def _send(self, boards: Sequence[str], user_ids: Iterable[int], *, whole: bool) -> bool:
        """Send these users what changed; `whole`: `boards` are all there are, so fresh connections can be answered.

        Return False when the index could not be read.
        """
        ids = list(user_ids)
        for start in range(0, len(ids), USERS_PER_CALL):
            some = ids[start : start + USERS_PER_CALL]
            try:
                answers = [await self._places(board, some) for board in boards]
            except LaurelsError:  # unavailable, or a board was just retired: read again in a second
                return False
            for user_id in some:
                if user_id in self._users:
                    _send_to_user(user_id, self._users[user_id], answers, whole=whole)
            await asyncio.sleep(0)
        return True


def _send_to_user(user_id: int, user: _Subscriber, answers: Sequence[PlacesOnBoard], *, whole: bool) -> None:
    places = [_my_place(answer, user_id) for answer in answers]
    changed = [place for place in places if user.sent.get(place.board, _NEVER) != (place.rank, place.score)]
    for place in changed:
        user.sent[place.board] = (place.rank, place.score)
    if changed:
        _send(user.username, changed, user.connections)
    if whole and user.fresh:
        fresh, user.fresh = user.fresh, set()
        user.connections |= fresh
        _send(user.username, places, fresh)


def _send(username: str, places: list[protocol.MyPlace], connections: set[ClientConnection]) -> None:
    message = protocol.encode(protocol.MeFrame(username=username, boards=places)) if connections else b""
    for connection in connections:
        # A slow connection gets every board once it has drained.
        broadcast([connection], connection.encode_frame("me", "", message), protocol.ME, "")


def _my_place(answer: PlacesOnBoard, user_id: int) -> protocol.MyPlace:
    place = answer.places.get(user_id)
    return protocol.MyPlace(
        board=answer.board,
        rank=None if place is None else place.rank,
        score=None if place is None else place.score,
        total_users=answer.total_users,
        epoch=answer.epoch,
        seq=answer.seq,
        rank_state=answer.rank_state,
    )


_NEVER: SentPlace = (-1, -1)
