"""Decide from the clients' records and the ledger whether a promise was broken.

Nothing here asks the service how it thinks it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

from tests.faults.load import Frame, Load, Record

COOLDOWN = timedelta(seconds=2)
"""Of the sample type `quiz`."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The ledger after the row. `actions`: user, type, identifier, id, score, when; `board`: best first."""

    actions: Sequence[Any]
    scores: dict[str, int]
    board: list[tuple[str, int]]


@dataclass(slots=True)
class Findings:
    """Return descriptions of broken promises; empty if all were kept."""

    broken: list[str] = field(default_factory=list)

    def expect(self, holds: bool, words: str) -> None:
        if not holds:
            self.broken.append(words)


_ACTIONS = """
SELECT u.username, t.name AS kind, a.action_identifier AS identifier, a.id, a.score_earned, a.completed_at, a.status
FROM actions a JOIN users u ON u.id = a.user_id JOIN action_types t ON t.id = a.action_type_id ORDER BY a.id"""
_SCORES = "SELECT username, current_score FROM users"
_BOARD = """
SELECT u.username, s.score FROM standings s JOIN users u ON u.id = s.user_id JOIN windows w ON w.id = s.window_id
JOIN boards b ON b.id = w.board_id WHERE b.is_default AND NOT s.hidden
ORDER BY s.sort_score, s.reached_at, s.user_id LIMIT 100"""


async def read_truth(connection: Any) -> Truth:
    async with connection.transaction(isolation="repeatable_read"):
        actions = await connection.fetch(_ACTIONS)
        scores = {row["username"]: row["current_score"] for row in await connection.fetch(_SCORES)}
        board = [(row["username"], row["score"]) for row in await connection.fetch(_BOARD)]
    return Truth(actions, scores, board)


def check(load: Load, truth: Truth) -> Findings:
    """All that can be said of the load and the ledger."""
    found = Findings()
    _durable(found, load.records, truth)
    _exact(found, truth)
    _fair(found, truth)
    _never_back(found, load.frames)
    found.expect(not load.overdue, f"{len(load.overdue)} requests had no end within their deadline")
    return found


def _durable(found: Findings, records: Sequence[Record], truth: Truth) -> None:
    """Every acknowledged action is in the ledger once, as its receipt says; no refused one is."""
    times = Counter((row["username"], row["identifier"]) for row in truth.actions)
    held = {(row["username"], row["identifier"]): row for row in truth.actions}
    lost = [r.identifier for r in records if r.receipt and times[r.player, r.identifier] == 0]
    twice = [identifier for (_, identifier), count in times.items() if count > 1]
    other = [
        r.identifier
        for r in records
        if r.receipt and (row := held.get((r.player, r.identifier))) and _differs(row, r.receipt)
    ]
    refused = [r.identifier for r in records if r.refused and times[r.player, r.identifier]]
    found.expect(not lost, f"{len(lost)} acknowledged actions are not in the ledger: {lost[:5]}")
    found.expect(not twice, f"{len(twice)} actions are there more than once: {twice[:5]}")
    found.expect(not other, f"{len(other)} receipts differ from their rows: {other[:5]}")
    found.expect(not refused, f"{len(refused)} refused actions are in the ledger: {refused[:5]}")


def _differs(row: Any, receipt: dict[str, Any]) -> bool:
    return (row["id"], row["score_earned"]) != (receipt["action_id"], receipt["score_earned"])


def _exact(found: Findings, truth: Truth) -> None:
    sums: Counter[str] = Counter()
    for row in truth.actions:
        sums[row["username"]] += row["score_earned"] if row["status"] == "awarded" else 0
    wrong = {name: (score, sums[name]) for name, score in truth.scores.items() if score != sums[name]}
    found.expect(not wrong, f"scores are not the sums of their actions: {dict(list(wrong.items())[:5])}")
    off = [(name, score) for name, score in truth.board if truth.scores[name] != score]
    found.expect(not off, f"standings differ from scores: {off[:5]}")


def _fair(found: Findings, truth: Truth) -> None:
    """One log-in a day, two seconds between quizzes, whatever node judged."""
    logins = [row for row in truth.actions if row["kind"] == "daily-login"]
    daily = Counter((row["username"], row["completed_at"].date()) for row in logins)
    found.expect(not [key for key, count in daily.items() if count > 1], "a daily cap was passed")
    quizzes: dict[str, list[Any]] = {}
    for row in truth.actions:
        if row["kind"] == "quiz":
            quizzes.setdefault(row["username"], []).append(row["completed_at"])
    early = [name for name, moments in quizzes.items() for a, b in pairwise(sorted(moments)) if b - a < COOLDOWN]
    found.expect(not early, f"a cooldown was passed by {early[:5]}")


def _never_back(found: Findings, frames: dict[int, list[Frame]]) -> None:
    """A viewer's board never goes back, whatever node it came to.

    Players only win points: no place of a later board has fewer than it had. Within one connection and one life of an
    index the seq never falls either.
    """
    for number, seen in frames.items():
        newest: dict[tuple[int, str], int] = {}
        for earlier, later in pairwise(seen):
            life = later.connection, later.epoch
            where = f"viewer {number}, connection {earlier.connection} to {later.connection}"
            if worse := _worse(earlier, later):
                found.expect(False, f"{where}: {worse}; epochs {earlier.epoch!r} to {later.epoch!r}")
                break
            if later.seq < newest.get(life, 0):
                found.expect(False, f"{where}: seq {later.seq} after {newest[life]}")
                break
            newest[life] = later.seq


def _worse(earlier: Frame, later: Frame) -> str:
    """Return a description if the later board is an older one."""
    if len(later.rows) < len(earlier.rows):
        return f"{len(earlier.rows)} places became {len(later.rows)}"
    for place, ((_, was), (_, now)) in enumerate(zip(earlier.rows, later.rows, strict=False), 1):
        if now < was:
            return f"place {place} fell from {was} to {now} points"
    return ""
