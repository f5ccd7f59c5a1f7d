"""After a write run: was every acknowledged action counted, once, and does everything agree?

A fast writer that loses points is worth nothing, so a figure is told only behind this proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from laurels import operations
from laurels.config import Settings

from .stage import Node


class ProofFailed(Exception):
    """What was measured was wrong; the message says how."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the generator saw in one run: `answered` actions; up to `in_flight` more when it hung up."""

    prefix: str
    answered: int
    in_flight: int


async def prove(node: Node, claim: Claim) -> None:
    """Ledger == standings == index of the running node, and the ledger holds what was answered.

    Raises ProofFailed. The generator hangs up on its last requests, so a few rows more than answers are right.
    """
    report = await operations.verify(Settings(database_url=node.database_url), node.url)
    if not report.clean:
        raise ProofFailed(f"ledger, standings and index disagree: {report.windows}")
    if any(window.node_drift is None for window in report.windows):
        raise ProofFailed("the running node was not asked for its index")
    rows = await _written(node.database_url, claim.prefix)
    if not claim.answered <= rows <= claim.answered + claim.in_flight:
        raise ProofFailed(f"{claim.answered} actions were answered, {rows} are in the ledger")


async def _written(url: str, prefix: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval("SELECT count(*) FROM actions WHERE starts_with(action_identifier, $1)", prefix)
        )
    finally:
        await connection.close()
