"""The index in this process: for each window a sorted list of order keys, and a map from user to key.

An entry is 32 bytes: the 24-byte order key, then the version. The user id inside the key makes keys unique, so the
version never decides the order; storing it there saves an object per member. Dense ranks also need the multiset of
distinct scores, which is kept only for boards with dense ties.

Cost per change with n members: O(sqrt n) to add and remove, O(log n) for a rank (sortedcontainers).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence

from sortedcontainers import SortedList

from ..domain.boards import Window
from ..domain.standings import Standing, order_key, sort_score, split_key
from ..ledger.write.batch import StandingChange
from .index import MAX_TOP, Place, Position, Ranking, Shift, reaches_top, tied_rank

_KEY = 24
_BEYOND_VERSIONS = b"\xff" * 9


class MemoryWindow:
    """The standings of one window, best first."""

    def __init__(self, window: Window, seq: int) -> None:
        self.window = window
        self.seq = seq
        self._keys: SortedList[bytes] = SortedList()
        self._by_user: dict[int, bytes] = {}
        self._removed: dict[int, int] = {}
        self._distinct: _DistinctScores | None = _DistinctScores() if window.board.ties == "dense" else None

    def __len__(self) -> int:
        return len(self._keys)

    def load(self, standings: Iterable[tuple[int, Standing]]) -> None:
        """Fill an empty window by a sort instead of n inserts. O(n log n)."""
        for user_id, standing in standings:
            self._by_user[user_id] = self._entry(user_id, standing)
        self._keys = SortedList(self._by_user.values())
        if self._distinct is not None:
            self._distinct.load(entry[:8] for entry in self._by_user.values())

    def apply(self, changes: Sequence[tuple[int, Standing]]) -> Shift | None:
        """Apply one batch; return None when every change was older than what the window holds."""
        fresh = [(user, standing) for user, standing in changes if self._is_news(user, standing.version)]
        if not fresh:
            return None
        before = {user: self.rank(user) for user, _ in fresh}
        for user, standing in fresh:
            self._replace(user, standing)
        self.seq += 1
        ranks = {user: (before[user], self.rank(user)) for user in before}
        return Shift(self.seq, len(self), True, reaches_top(ranks), ranks)

    def remember_removed(self, other: MemoryWindow) -> None:
        """Copy the versions that removed users, so that an older change can't bring a user back."""
        self._removed = dict(other._removed)

    def rank(self, user_id: int) -> int | None:
        """Return the 1-based rank under the board's tie policy; None for a user who is not on the board."""
        entry = self._by_user.get(user_id)
        return None if entry is None else self._rank_of(entry)

    def place(self, user_id: int) -> Place | None:
        entry = self._by_user.get(user_id)
        return None if entry is None else self._place(entry, self._rank_of(entry))

    def place_of(self, user_id: int, standing: Standing) -> Place:
        """Return the place that a standing which is not on the board would take."""
        entry = self._entry(user_id, standing)
        return self._place(entry, self._rank_of(entry))

    def standing(self, user_id: int) -> Standing | None:
        """Return the standing of a user on the board, or None."""
        entry = self._by_user.get(user_id)
        if entry is None:
            return None
        place = self._place(entry, 0)
        return Standing(place.score, place.reached_at, int.from_bytes(entry[_KEY:], "big"))

    def slice(self, start: int, stop: int) -> tuple[Place, ...]:
        """Return places by ordinal position, 0-based, half open."""
        entries = enumerate(self._keys.islice(start, stop), start + 1)
        if self.window.board.ties == "ordinal":  # the position is the rank: no look-up
            return tuple([self._place(entry, ordinal) for ordinal, entry in entries])
        return tuple([self._place(entry, self._rank_of(entry)) for _, entry in entries])

    def behind(self, key: bytes) -> int:
        """Return the 0-based position of the first entry whose order key is greater than `key`. O(log n)."""
        return int(self._keys.bisect_left(key + _BEYOND_VERSIONS))

    def ordinal(self, user_id: int) -> int | None:
        """Return the 0-based position in the total order, or None."""
        entry = self._by_user.get(user_id)
        return None if entry is None else self._keys.bisect_left(entry)

    def standings(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield (user id, score, reached_at, version) of all users on the board, best first."""
        order = self.window.board.order
        for entry in self._keys:
            sort_value, reached_at, user_id = split_key(entry)
            yield user_id, sort_score(sort_value, order), reached_at, int.from_bytes(entry[_KEY:], "big")

    def sample(self, size: int) -> list[int]:
        """Return at most `size` user ids: the first of the board and random others."""
        count = len(self._keys)
        positions = {*range(min(MAX_TOP, count, size)), *random.sample(range(count), min(count, size))}
        return [split_key(self._keys[position])[2] for position in sorted(positions)[:size]]

    def _is_news(self, user_id: int, version: int) -> bool:
        entry = self._by_user.get(user_id)
        if entry is None:
            return version > self._removed.get(user_id, 0)
        return version > int.from_bytes(entry[_KEY:], "big")

    def _replace(self, user_id: int, standing: Standing) -> None:
        old = self._by_user.pop(user_id, None)
        if old is not None:
            self._keys.remove(old)
            if self._distinct is not None:
                self._distinct.discard(old[:8])
        if standing.hidden:
            self._removed[user_id] = standing.version
            return
        self._removed.pop(user_id, None)
        entry = self._entry(user_id, standing)
        self._by_user[user_id] = entry
        self._keys.add(entry)
        if self._distinct is not None:
            self._distinct.add(entry[:8])

    def _entry(self, user_id: int, standing: Standing) -> bytes:
        value = sort_score(standing.score, self.window.board.order)
        return order_key(value, standing.reached_at, user_id) + standing.version.to_bytes(8, "big")

    def _rank_of(self, entry: bytes) -> int:
        if self._distinct is not None:
            return tied_rank(self.window.board, 0, 0, self._distinct.better_than(entry[:8]))
        if self.window.board.ties == "competition":
            return tied_rank(self.window.board, 0, self._keys.bisect_left(entry[:8]), 0)
        return int(self._keys.bisect_left(entry)) + 1

    def _place(self, entry: bytes, rank: int) -> Place:
        sort_value, reached_at, user_id = split_key(entry)
        return Place(rank, user_id, sort_score(sort_value, self.window.board.order), reached_at)


class MemoryIndex:
    """All windows of this process. `epoch` names this generation of the index; seqs compare within it."""

    def __init__(self, epoch: str, first_seq: int = 0) -> None:
        self.epoch = epoch
        self._first_seq = first_seq
        self._windows: dict[int, MemoryWindow] = {}
        self._rebuilding: dict[int, MemoryWindow] = {}

    def window(self, window: Window) -> MemoryWindow:
        """Return a window, empty if it is new."""
        found = self._windows.get(window.id)
        if found is None:
            found = self._windows[window.id] = MemoryWindow(window, self._first_seq)
        return found

    def windows(self) -> list[MemoryWindow]:
        return list(self._windows.values())

    def drop(self, window_id: int) -> None:
        """Forget a window that has ended, or that is to be loaded again."""
        self._windows.pop(window_id, None)

    def begin_rebuild(self, window: Window) -> MemoryWindow:
        """Return a second, empty copy of a window. It takes live changes too, until `finish_rebuild`."""
        fresh = self._rebuilding[window.id] = MemoryWindow(window, self._first_seq)
        fresh.remember_removed(self.window(window))
        return fresh

    def finish_rebuild(self, fresh: MemoryWindow) -> None:
        """Let the copy answer from now on, at a later seq than the old one ever had."""
        fresh.seq = self.window(fresh.window).seq + 1
        self._windows[fresh.window.id] = fresh
        self.abandon_rebuild(fresh.window)

    def abandon_rebuild(self, window: Window) -> None:
        """Forget a copy that will not be finished, if there is one: live changes need not reach it."""
        self._rebuilding.pop(window.id, None)

    def apply(self, changes: Iterable[StandingChange]) -> dict[int, Shift]:
        """Apply one committed batch, idempotent and monotone by version; return window id -> what changed."""
        by_window: dict[int, list[tuple[int, Standing]]] = {}
        windows: dict[int, Window] = {}
        for change in changes:
            windows[change.window.id] = change.window
            by_window.setdefault(change.window.id, []).append((change.user_id, change.standing))
        for window_id, fresh in self._rebuilding.items():
            fresh.apply(by_window.get(window_id, ()))
        shifts = {wid: self.window(windows[wid]).apply(rows) for wid, rows in by_window.items()}
        return {wid: shift for wid, shift in shifts.items() if shift is not None}

    async def position(self, window: Window) -> Position:
        return Position(self.epoch, self.window(window).seq)

    async def top(self, window: Window, size: int) -> Ranking:
        held = self.window(window)
        return self._ranking(held, held.slice(0, size))

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        held = self.window(window)
        ordinal = held.ordinal(user_id)
        if ordinal is None:
            return self._ranking(held, ())
        return self._ranking(held, held.slice(max(0, ordinal - radius), ordinal + radius + 1))

    async def page(self, window: Window, first: int, size: int) -> Ranking:
        held = self.window(window)
        return self._ranking(held, held.slice(first - 1, first - 1 + size))

    async def after(self, window: Window, key: bytes, size: int) -> Ranking:
        held = self.window(window)
        behind = held.behind(key)
        return self._ranking(held, held.slice(behind, behind + size))

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        held = self.window(window)
        found = (held.place(user_id) for user_id in user_ids)
        return self._ranking(held, tuple(place for place in found if place is not None))

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        return self.window(window).place_of(user_id, standing)

    async def held(self, window: Window, user_ids: Sequence[int]) -> dict[int, Standing]:
        held = self.window(window)
        found = ((user_id, held.standing(user_id)) for user_id in user_ids)
        return {user_id: standing for user_id, standing in found if standing is not None}

    async def members(self, window: Window) -> AsyncIterator[dict[int, Standing]]:
        held = self.window(window).standings()
        yield {user_id: Standing(score, at, version) for user_id, score, at, version in held}

    async def sample(self, window: Window, size: int) -> list[int]:
        return self.window(window).sample(size)

    async def count(self, window: Window) -> int:
        return len(self.window(window))

    def _ranking(self, held: MemoryWindow, places: tuple[Place, ...]) -> Ranking:
        return Ranking(self.epoch, held.seq, len(held), places)


class _DistinctScores:
    """Counts the members of each score, and the distinct scores that are better than one."""

    def __init__(self) -> None:
        self._scores: SortedList[bytes] = SortedList()
        self._members: Counter[bytes] = Counter()

    def load(self, scores: Iterable[bytes]) -> None:
        self._members = Counter(scores)
        self._scores = SortedList(self._members)

    def add(self, score: bytes) -> None:
        self._members[score] += 1
        if self._members[score] == 1:
            self._scores.add(score)

    def discard(self, score: bytes) -> None:
        self._members[score] -= 1
        if not self._members[score]:
            del self._members[score]
            self._scores.remove(score)

    def better_than(self, score: bytes) -> int:
        return int(self._scores.bisect_left(score))
