"""Counts while a demo runs, and the tables at its end."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

LATENCIES = 1_000_000
"""The most that are kept: enough for exact percentiles of a long demo."""


@dataclass(slots=True)
class Group:
    """People of one kind: name -> [actions, of which held, actions until the first held one]."""

    people: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, *, held: bool) -> None:
        counts = self.people.setdefault(name, [0, 0, 0])
        counts[0] += 1
        counts[1] += held
        if held and not counts[2]:
            counts[2] = counts[0]

    def summary(self) -> dict[str, Any]:
        """Return the counts. `before_held`: of the people held, the median number of actions that counted before."""
        caught = sorted(first - 1 for _, held, first in self.people.values() if held)
        actions, held = (sum(counts[column] for counts in self.people.values()) for column in (0, 1))
        return {
            "people": len(self.people),
            "people_held": len(caught),
            "actions": actions,
            "held": held,
            "held_share": round(held / actions, 4) if actions else 0.0,
            "before_held": caught[len(caught) // 2] if caught else None,
        }


@dataclass(slots=True)
class DemoTally:
    """Counts of a demo.

    sent        actions, not attempts
    held_back   not sent, because too many were in flight
    unfinished  interrupted by Ctrl-C: such an action may or may not count, which is not a failure
    """

    url: str
    people: int = 0
    sent: int = 0
    awarded: int = 0
    held: int = 0
    replayed: int = 0
    points: int = 0
    held_back: int = 0
    unfinished: int = 0
    not_let_in: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"), repr=False)
    top: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict, repr=False)
    leader: str = ""
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def healthy(self) -> bool:
        return self.awarded > 0 and not self.failed

    def judged(self, name: str, group: str, *, held: bool) -> None:
        """Count an action that is in the ledger, awarded or held."""
        self.groups.setdefault(group, Group()).add(name, held=held)

    def timed(self, seconds: float) -> None:
        if len(self.latencies) < LATENCIES:
            self.latencies.append(seconds)

    def latency_ms(self, share: float) -> float | None:
        """Return the milliseconds within which `share` of the replies came; None without replies."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return round(1_000 * ordered[math.ceil(share * len(ordered)) - 1], 1)

    def summary(self) -> dict[str, Any]:
        return {
            "url": f"{self.url}/",
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "people": self.people,
            "not_let_in": self.not_let_in,
            "sent": self.sent,
            "awarded": self.awarded,
            "held": self.held,
            "replayed": self.replayed,
            "refused": dict(self.refused.most_common()),
            "failed": dict(self.failed.most_common()),
            "held_back": self.held_back,
            "unfinished": self.unfinished,
            "points": self.points,
            "groups": {name: group.summary() for name, group in sorted(self.groups.items())},
            "latency_ms": {"p50": self.latency_ms(0.5), "p99": self.latency_ms(0.99)},
            "top": self.top,
            "healthy": self.healthy,
        }

    def print(self, console: Console) -> None:
        console.print(self._outcome(), self._board())
        if len(self.groups) > 1 or self.held:
            console.print(self._suspects())
        console.print(f"The board is at [bold]{self.url}/[/]")

    def _outcome(self) -> Table:
        table = Table("what", "count", title="Interrupted" if self.interrupted else "Played")
        table.columns[1].justify = "right"
        table.add_row("people in the game", f"{self.people:,}")
        table.add_row("actions sent", f"{self.sent:,}")
        table.add_row("awarded", f"{self.awarded:,}")
        if self.held:
            table.add_row("held for review", f"{self.held:,}")
        table.add_row("replayed", f"{self.replayed:,}")
        for label, counted in (("refused", self.refused), ("failed", self.failed)):
            for code, count in counted.most_common():
                table.add_row(f"{label}: {code}", f"{count:,}")
        optional = {
            "people still waiting to register (rate limit)": self.not_let_in,
            "held back (too many in flight)": self.held_back,
            "unfinished": self.unfinished,
        }
        for label, count in optional.items():
            if count:
                table.add_row(label, f"{count:,}")
        if not self.failed:
            table.add_row("failed", "0")
        table.add_row("latency p50 / p99", f"{self.latency_ms(0.5) or '-'} / {self.latency_ms(0.99) or '-'} ms")
        return table

    def _suspects(self) -> Table:
        """Return how many of each kind were held; for the honest ones that is the false-positive rate."""
        columns = ("who", "people", "of them held", "actions", "held", "share", "before the first")
        table = Table(*columns, title="Held for review")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, group in sorted(self.groups.items(), key=lambda item: (item[0] != "honest", item[0])):
            counted = group.summary()
            first = "-" if counted["before_held"] is None else str(counted["before_held"])
            share = f"{100 * counted['held_share']:.2f} %"
            counts = [f"{counted[key]:,}" for key in ("people", "people_held", "actions", "held")]
            table.add_row(name, *counts, share, first)
        return table

    def _board(self) -> Table:
        table = Table("rank", "name", "points", title="Top of the board")
        for row in self.top:
            rank = "-" if row.get("rank") is None else str(row["rank"])
            table.add_row(rank, escape(str(row.get("username"))), f"{row.get('score', 0):,}")
        return table
