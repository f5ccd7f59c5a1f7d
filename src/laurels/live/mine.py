"""`me`: every connected user's own score and rank, also when others moved them.

One call of the index a board for all of them, at most once a second, and only for boards that have
moved. Who has just subscribed is answered at once, together with all who have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..domain.errors import LaurelsError
from ..ranking.scoreboards import PlacesOnBoard
from . import protocol
from .viewer import Viewer, write_each

EVERY = 1.0
"""Seconds between two looks."""
AT_ONCE = 1_000
"""Users asked for in one call: more would keep the loop for too long."""
WELCOME_REST = 0.02
"""Seconds in which those who subscribe are gathered."""

Places = Callable[[str, Sequence[int]], Awaitable[PlacesOnBoard]]
Told = tuple[int | None, int | None]
"""(rank, score)."""


@dataclass(slots=True)
class _User:
    """`fresh` have just subscribed (or were behind) and get every board; the others have `told`."""

    username: str
    fresh: set[Viewer] = field(default_factory=set)
    viewers: set[Viewer] = field(default_factory=set)
    told: dict[str, Told] = field(default_factory=dict)


class Mine:
    """Run `welcome` and `update` in tasks."""

    def __init__(self, places: Places, boards: Callable[[], Iterable[str]]) -> None:
        self._places = places
        self._boards = boards
        self._users: dict[int, _User] = {}
        self._fresh: set[int] = set()
        self._due: set[str] = set()
        self._someone = asyncio.Event()

    def moved(self, board: str) -> None:
        if self._users:
            self._due.add(board)

    def join(self, viewer: Viewer, announced: bool, id_: int | None) -> None:
        """Every board soon, then what changes. `announced`: `subscribed` goes first."""
        if viewer.user_id is None:
            return
        if announced:
            said = protocol.Subscribed(id=protocol.given(id_), channel=protocol.ME, resumed="snapshot")
            viewer.send(viewer.dress("subscribed", "", protocol.encode(said)))
        user = self._users.setdefault(viewer.user_id, _User(viewer.username))
        user.viewers.discard(viewer)
        user.fresh.add(viewer)
        self._fresh.add(viewer.user_id)
        self._someone.set()

    def leave(self, viewer: Viewer) -> None:
        user = None if viewer.user_id is None else self._users.get(viewer.user_id)
        if user is None or viewer.user_id is None:
            return
        user.viewers.discard(viewer)
        user.fresh.discard(viewer)
        if not user.viewers and not user.fresh:
            del self._users[viewer.user_id]

    async def welcome(self) -> None:
        while True:
            await self._someone.wait()
            self._someone.clear()
            fresh, self._fresh = self._fresh, set()
            if not await self._tell(list(self._boards()), fresh, whole=True):
                self._fresh |= fresh
                self._someone.set()
                await asyncio.sleep(EVERY)
            await asyncio.sleep(WELCOME_REST)

    async def update(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            due, self._due = self._due.intersection(self._boards()), set()
            if due and not await self._tell(sorted(due), self._users, whole=False):
                self._due |= due

    async def _tell(self, boards: Sequence[str], user_ids: Iterable[int], *, whole: bool) -> bool:
        """Tell these users what has changed; `whole`: every board was asked, so the fresh can be answered.

        False: the index could not be asked.
        """
        ids = list(user_ids)
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            try:
                answers = [await self._places(board, some) for board in boards]
            except LaurelsError:  # away, or a board was retired this moment: asked again in a second
                return False
            for user_id in some:
                if user_id in self._users:
                    _tell_user(user_id, self._users[user_id], answers, whole=whole)
            await asyncio.sleep(0)
        return True


def _tell_user(user_id: int, user: _User, answers: Sequence[PlacesOnBoard], *, whole: bool) -> None:
    places = [_my_place(answer, user_id) for answer in answers]
    changed = [place for place in places if user.told.get(place.board, _NEVER) != (place.rank, place.score)]
    for place in changed:
        user.told[place.board] = (place.rank, place.score)
    if changed:
        _send(user.username, changed, user.viewers)
    if whole and user.fresh:
        fresh, user.fresh = user.fresh, set()
        user.viewers |= fresh
        _send(user.username, places, fresh)


def _send(username: str, places: list[protocol.MyPlace], viewers: set[Viewer]) -> None:
    message = protocol.encode(protocol.Me(username=username, boards=places)) if viewers else b""
    for viewer in viewers:
        # Whoever can't be written to now gets every board when it reads on.
        write_each([viewer], viewer.dress("me", "", message), protocol.ME, "")


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


_NEVER: Told = (-1, -1)
