"""Prove after a write run that every acknowledged action was counted once, and that all stores agree.

A fast writer that loses points is worthless, so a figure is reported only after this proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from laurels.cli.verification import verify
from laurels.config import Settings

from .stage import Node


class ProofFailed(Exception):
    """The result of a measured run is wrong; the message says how."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The generator's view of one run: `answered` actions; up to `in_flight` more when it disconnected."""

    prefix: str
    answered: int
    in_flight: int


async def prove(node: Node, claim: Claim) -> None:
    """Check that ledger, standings and the running node's index agree, and that the ledger holds all answered actions.

    Raises ProofFailed. The generator disconnects during its last requests, so a few rows more than answers are correct.
    """
    report = await verify(Settings(database_url=node.database_url), node.url)
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
