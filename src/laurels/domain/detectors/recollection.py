"""What a node remembers of recent actions, for the detectors that look at more than one.

Everything kept is immutable and replaced, so a batch can work on a copy that costs nothing and is thrown
away when its transaction is: `Recollection.batch()` gives an Impression, `keep()` takes it over after COMMIT.
Memory is bounded; what was longest not touched is forgotten first. A node remembers what came through it:
behind a balancer each has its share, which is why nothing but suspicion may rest on it.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

TRAIL = 13
"""Instants kept of one user and type: a dozen gaps."""
TRAILS = 100_000
CROWDS = 20_000
MINUTE = 60_000_000


class Trail(msgspec.Struct, frozen=True, gc=False):
    """One user's actions of one type. Instants in microseconds.

    times     the latest, oldest first, at most TRAIL
    same      how many in a row carried the metadata of the last
    minute    the minute that `points` were earned in
    suspect_at  when one of them last looked wrong
    """

    times: tuple[int, ...] = ()
    metadata: str | None = None
    same: int = 0
    minute: int = -1
    points: int = 0
    suspect_at: int | None = None

    def extended(self, at: int, metadata: str | None, earned: int) -> Trail:
        """With one more action."""
        minute = at // MINUTE
        return Trail(
            times=(*self.times[1 - TRAIL :], at),
            metadata=metadata,
            same=self.same + 1 if metadata == self.metadata and self.times else 1,
            minute=minute,
            points=earned + (self.points if minute == self.minute else 0),
            suspect_at=self.suspect_at,
        )


class Crowd(msgspec.Struct, frozen=True, gc=False):
    """How many actions came from one address in one minute."""

    minute: int = -1
    count: int = 0

    def grown(self, at: int) -> Crowd:
        minute = at // MINUTE
        return Crowd(minute, 1 + (self.count if minute == self.minute else 0))


class Recollection:
    """At most TRAILS pairs of user and type, and CROWDS addresses."""

    def __init__(self, *, trails: int = TRAILS, crowds: int = CROWDS) -> None:
        self._trails: OrderedDict[tuple[int, int], Trail] = OrderedDict()
        self._crowds: OrderedDict[str, Crowd] = OrderedDict()
        self._limits = trails, crowds

    def __len__(self) -> int:
        return len(self._trails) + len(self._crowds)

    def batch(self) -> Impression:
        return Impression(self._trails, self._crowds)

    def keep(self, impression: Impression) -> None:
        """Take over what a committed batch saw."""
        trails, crowds = self._limits
        _keep(self._trails, impression.trails, trails)
        _keep(self._crowds, impression.crowds, crowds)


class Impression:
    """What one batch sees: the recollection, and on top of it the batch's own actions. O(1) each."""

    def __init__(self, trails: OrderedDict[tuple[int, int], Trail], crowds: OrderedDict[str, Crowd]) -> None:
        self._known_trails = trails
        self._known_crowds = crowds
        self.trails: dict[tuple[int, int], Trail] = {}
        self.crowds: dict[str, Crowd] = {}

    def act(self, key: tuple[int, int], at: int, metadata: str | None, earned: int) -> Trail:
        """Add an action of a (user id, action type id)."""
        before = self.trails.get(key) or self._known_trails.get(key) or Trail()
        after = self.trails[key] = before.extended(at, metadata, earned)
        return after

    def arrive(self, address: str, at: int) -> Crowd:
        before = self.crowds.get(address) or self._known_crowds.get(address) or Crowd()
        after = self.crowds[address] = before.grown(at)
        return after

    def suspect(self, key: tuple[int, int], at: int) -> None:
        """Remember that this action looked wrong."""
        self.trails[key] = msgspec.structs.replace(self.trails[key], suspect_at=at)


def _keep(known: OrderedDict, fresh: dict, limit: int) -> None:  # type: ignore[type-arg]
    for key, value in fresh.items():
        known[key] = value
        known.move_to_end(key)
    while len(known) > limit:
        known.popitem(last=False)
