"""Check every promise. Pure: acknowledgements, ledger, indexes and screens in, violations out.

The same checks judge several nodes under kills, and one behind any fault. Nothing here reads a server: who runs a
scenario gathers the evidence once all is quiet, and an empty list of violations is the verdict.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """One acknowledgement: a receipt as a client got it. `rank` None: the service said that it did not know.

    `replayed`: the receipt of an action that was acknowledged or written before; its rank is the one at that time.
    """

    user: str
    identifier: str
    action_id: int
    score_earned: int
    new_score: int
    rank: int | None = None
    epoch_seq: tuple[str, int] | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One action as the ledger holds it."""

    user: str
    identifier: str
    action_id: int
    score_earned: int
    new_score: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One user's row of a board, in the ledger. `order` sorts best first, unique per user."""

    user: str
    score: int
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of one scenario, gathered after the last write.

    attempted  (user, identifier) of everything that was ever sent
    boards     name of a node's index or a screen -> its rows (user, score, rank), as far down as it shows
    """

    told: Sequence[Told]
    rows: Sequence[Row]
    standings: Sequence[Standing]
    attempted: frozenset[tuple[str, str]] = frozenset()
    boards: Mapping[str, Sequence[tuple[str, int, int]]] = field(default_factory=dict)


def violations(evidence: Evidence) -> list[str]:
    """Return descriptions of violations; empty if there are none. O(n log n)."""
    return [
        *_not_once(evidence.rows),
        *_not_kept(evidence.told, evidence.rows),
        *_from_nowhere(evidence.attempted, evidence.rows),
        *_not_the_fold(evidence.rows, evidence.standings),
        *_not_running(evidence.rows),
        *_told_twice_differently(evidence.told),
        *_two_at_one_place(evidence.told),
        *_not_the_sort(evidence.standings, evidence.boards),
    ]


def _not_once(rows: Iterable[Row]) -> list[str]:
    counts = Counter((row.user, row.identifier) for row in rows)
    return [f"{user}/{identifier} is in the ledger {n} times" for (user, identifier), n in counts.items() if n > 1]


def _not_kept(told: Iterable[Told], rows: Iterable[Row]) -> list[str]:
    held = {(row.user, row.identifier): row for row in rows}
    found = []
    for one in told:
        row = held.get((one.user, one.identifier))
        if row is None:
            found.append(f"{one.user}/{one.identifier} was acknowledged and is lost")
        elif (row.action_id, row.score_earned, row.new_score) != (one.action_id, one.score_earned, one.new_score):
            found.append(f"{one.user}/{one.identifier}: told {one}, held {row}")
    return found


def _from_nowhere(attempted: frozenset[tuple[str, str]], rows: Iterable[Row]) -> list[str]:
    if not attempted:
        return []
    strangers = [row for row in rows if (row.user, row.identifier) not in attempted]
    return [f"{row.user}/{row.identifier} is in the ledger but was never sent" for row in strangers]


def _not_the_fold(rows: Iterable[Row], standings: Iterable[Standing]) -> list[str]:
    folded: dict[str, int] = defaultdict(int)
    for row in rows:
        folded[row.user] += row.score_earned
    held = {standing.user: standing.score for standing in standings}
    users = sorted(folded.keys() | held.keys())
    return [
        f"{user}: the ledger folds to {folded.get(user)}, the standing is {held.get(user)}"
        for user in users
        if folded.get(user) != held.get(user)
    ]


def _not_running(rows: Iterable[Row]) -> list[str]:
    """`new_score` is the sum up to its row, in the order in which the user's actions were written."""
    found, sums = [], defaultdict[str, int](int)
    for row in sorted(rows, key=lambda row: row.action_id):
        sums[row.user] += row.score_earned
        if row.new_score != sums[row.user]:
            found.append(f"{row.user}/{row.identifier}: new_score {row.new_score}, the sum is {sums[row.user]}")
    return found


def _told_twice_differently(told: Iterable[Told]) -> list[str]:
    """A receipt never changes but for the rank of a replay; and an action is new only once."""
    found: list[str] = []
    first: dict[tuple[str, str], Told] = {}
    new: dict[tuple[str, str], Told] = {}
    for one in told:
        before = first.setdefault((one.user, one.identifier), one)
        if (before.action_id, before.new_score) != (one.action_id, one.new_score):
            found.append(f"{one.user}/{one.identifier}: first {before}, then {one}")
        if not one.replayed:
            new_before = new.setdefault((one.user, one.identifier), one)
            if new_before is not one:
                found.append(f"{one.user}/{one.identifier}: new twice, with rank {new_before.rank}, then {one.rank}")
    return found


def _two_at_one_place(told: Iterable[Told]) -> list[str]:
    """At one epoch and seq there is one board: a place has one user, a user one place."""
    places: dict[tuple[tuple[str, int], int], str] = {}
    found = []
    for one in told:
        if one.rank is None or one.epoch_seq is None:
            continue
        other = places.setdefault((one.epoch_seq, one.rank), one.user)
        if other != one.user:
            found.append(f"at {one.epoch_seq} both {other} and {one.user} got rank {one.rank}")
    return found


def _not_the_sort(standings: Sequence[Standing], boards: Mapping[str, Sequence[tuple[str, int, int]]]) -> list[str]:
    ordered = sorted(standings, key=lambda standing: standing.order)
    truth = [(standing.user, standing.score, rank) for rank, standing in enumerate(ordered, 1)]
    found = []
    for name, rows in boards.items():
        wanted = truth[: len(rows)]
        differing = [(shown, right) for shown, right in zip(rows, wanted, strict=False) if tuple(shown) != right]
        if differing or len(rows) > len(truth) or (truth and not rows):
            first = differing[0] if differing else (len(rows), len(truth))
            found.append(f"{name}: {len(differing)} rows are wrong, first {first}")
    return found
