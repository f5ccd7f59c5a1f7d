"""docs/faults.md: the rows as they came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.matrix import ROWS
from tests.faults.run import PLAYERS, VIEWERS, Outcome

FILE = Path(__file__).parent.parent.parent / "docs" / "faults.md"
_HEAD = """# Faults

Written by `make test-faults`. The whole cluster runs on one machine; {players} players and {viewers} viewers come in
through the edge; one thing is broken, held, mended. What a client does not know it asks again, under one identifier.
Then a checker decides from the clients' records and the ledger alone: every acknowledged action is there once, as its
receipt says; no refused one is; scores are sums; no cap or cooldown was passed; no viewer's board went back; every
node's board and every viewer's last frame are the ledger's; every request had an end; no lock is left waiting.

Seed {seed} (`make test-faults ARGS="--seed {seed}"` plays the same). *Gap* is the longest time in which nobody was
acknowledged anything.

| fault | acknowledged | asked again | gap | allowed | promises |
|---|---:|---:|---:|---:|---|
"""


def write(outcomes: Sequence[Outcome], seed: int) -> None:
    order = {row.name: number for number, row in enumerate(ROWS)}
    lines = [_line(outcome) for outcome in sorted(outcomes, key=lambda outcome: order[outcome.row])]
    FILE.write_text(_HEAD.format(players=PLAYERS, viewers=VIEWERS, seed=seed) + "\n".join(lines) + "\n")


def _line(outcome: Outcome) -> str:
    verdict = "**broken**: " + "; ".join(outcome.broken) if outcome.broken else "kept"
    counts = f"{outcome.acknowledged:,} | {outcome.retried:,} | {outcome.gap:.1f} s | {outcome.allowed:.0f} s"
    return f"| {outcome.row} | {counts} | {verdict} |"
