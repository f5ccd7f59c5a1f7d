"""One row: load, break, hold, mend, look."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from tests.faults.checker import Findings, Truth, check, read_truth
from tests.faults.load import Load
from tests.faults.resources import settled
from tests.faults.row import Row
from tests.faults.scene import Scene
from tests.faults.small import SmallScene

PLAYERS = 12
VIEWERS = 4
CALM_SECONDS = 3.0
DRAIN_SECONDS = 60.0
AGREE_SECONDS = 15.0


@dataclass(slots=True)
class Outcome:
    """The outcome of a row. `gap` and `slowest` (request) in seconds; `broken` promises in words."""

    row: str
    gap: float
    allowed: float
    acknowledged: int
    retried: int
    slowest: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


async def run_row(
    scene: Scene | SmallScene, row: Row, seed: int, number: int, *, calm: float = CALM_SECONDS
) -> Outcome:
    """Play one row, with `calm` seconds of load before and after; leaves the scene healthy.

    Never raises for a broken promise: the outcome says so.
    """
    dice = random.Random(f"{seed}-{row.name}")
    load = Load(scene.url, scene.tls, seed)
    before = await asyncio.to_thread(scene.held)
    try:
        await load.start(PLAYERS, VIEWERS, f"f{seed % 1000}-{number}")
        await asyncio.sleep(calm + dice.random())
        began = time.monotonic()
        async with row.fault(scene, dice):
            await asyncio.sleep(row.hold)
        await scene.healthy()
        await asyncio.sleep(calm)
        ended = time.monotonic()
        async with asyncio.timeout(DRAIN_SECONDS):
            await load.finish_playing()
        findings, _ = await _judge(scene, load)
        gap = load.longest_gap(began, ended)
        findings.expect(gap <= row.gap, f"nothing was acknowledged for {gap:.1f} s; {row.gap:.0f} s are allowed")
        findings.expect(not (row.flawless and load.failures), f"requests failed: {load.failures}")
    finally:
        await load.close()
    for words in await settled(scene, before):
        findings.expect(False, words)
    return _outcome(row, load, gap, findings)


def _outcome(row: Row, load: Load, gap: float, findings: Findings) -> Outcome:
    retried = sum(record.tries > 1 for record in load.records)
    counts = len(load.acknowledged), retried, load.slowest
    return Outcome(row.name, gap, row.gap, *counts, dict(load.failures), findings.broken)


async def _judge(scene: Scene | SmallScene, load: Load) -> tuple[Findings, Truth]:
    connection = await scene.truth()
    try:
        truth = await read_truth(connection)
        findings = check(load, truth)
    finally:
        await connection.close()
    await _agree(scene, load, truth, findings)
    return findings, truth


async def _agree(scene: Scene | SmallScene, load: Load, truth: Truth, findings: Findings) -> None:
    """Every node's board, and the last frame of every viewer, are the ledger's, if not at once then soon."""
    deadline = time.monotonic() + AGREE_SECONDS
    while wrong := await _differing(scene, load, truth):
        if time.monotonic() > deadline:
            findings.expect(False, f"boards are not the ledger's: {', '.join(wrong)}")
            return
        await asyncio.sleep(0.2)


async def _differing(scene: Scene | SmallScene, load: Load, truth: Truth) -> list[str]:
    wrong = [node for node in scene.nodes if await scene.board_of(node) != truth.board]
    for number, frames in load.frames.items():
        last = frames[-1].rows if frames else []
        if not last or last != truth.board[: len(last)]:
            wrong.append(f"viewer {number}")
    return wrong
