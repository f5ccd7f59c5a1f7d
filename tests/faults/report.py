"""docs/faults.md: the rows as they came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.disk import DISK_ROW
from tests.faults.matrix import ROWS
from tests.faults.run import PLAYERS, VIEWERS, Outcome
from tests.faults.wire import WIRE_ROWS

FILE = Path(__file__).parent.parent.parent / "docs" / "faults.md"
SMALL_ROWS = (*WIRE_ROWS, DISK_ROW)
_HEAD = """# Faults

Written by `make test-faults`. {players} players and {viewers} viewers connect through the edge; one fault is injected,
held and repaired. A client that does not know an outcome sends the request again, with the same identifier. Then a
checker decides from the clients' records and the ledger alone: every acknowledged action is in the ledger once, as its
receipt says; no refused one is; scores are sums; no cap or cooldown was exceeded; no viewer's board went back in time,
whichever node it reached; every node's board and every viewer's last frame equal the ledger; every request had an end;
nodes and edge hold no more memory and open files than before, the database no transaction and no lock.

*Gap* is the longest time without an acknowledgement, *slowest* the longest request. The same seed repeats the same run
(`make test-faults ARGS="--seed 7"`). A row that is run alone (`--only`) replaces its line.
"""
_SCENES = {
    "The whole cluster": (ROWS, "On one machine; each database and each Redis has its own network namespace."),
    "Two nodes, a PostgreSQL, and the connection between them": (
        SMALL_ROWS,
        "The connection goes through a proxy that can disturb it.",
    ),
}
_TABLE = """
## {title}

{words}

| fault | acknowledged | retried | gap | allowed | slowest | seed | promises |
|---|---:|---:|---:|---:|---:|---:|---|
"""


def write(outcomes: Sequence[Outcome], seed: int) -> None:
    """Rows that were never played are not in it."""
    lines = _written() | {outcome.row: _line(outcome, seed) for outcome in outcomes}
    text = _HEAD.format(players=PLAYERS, viewers=VIEWERS)
    for title, (rows, words) in _SCENES.items():
        text += _TABLE.format(title=title, words=words)
        text += "".join(lines[row.name] + "\n" for row in rows if row.name in lines)
    FILE.write_text(text)


def _written() -> dict[str, str]:
    """The lines that are there already, by their row."""
    if not FILE.exists():
        return {}
    return {line.split(" | ")[0].removeprefix("| "): line for line in FILE.read_text().splitlines() if line[:2] == "| "}


def _line(outcome: Outcome, seed: int) -> str:
    verdict = "**broken**: " + "; ".join(outcome.broken) if outcome.broken else "kept"
    counts = f"{outcome.acknowledged:,} | {outcome.retried:,}"
    times = f"{outcome.gap:.1f} s | {outcome.allowed:.0f} s | {outcome.slowest:.1f} s"
    return f"| {outcome.row} | {counts} | {times} | {seed} | {verdict} |"
