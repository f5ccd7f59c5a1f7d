"""Judge one batch and write it in one statement that detects stale users.

A batch usually takes two round trips, with no lock between them: the writing statement checks that none of its users
has changed since they were read, and otherwise writes nothing (ADR 20). Then it is tried again with its users locked
first. A batch whose rules read other users' actions locks them from the start. The commit makes the promise; whatever
fails before it has written nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from ...domain.actions import Facts, Recorded, Submission
from ...domain.boards import Window
from ...domain.detectors import DetectorEngine
from ...domain.judgement import Accepted, Judgement, Outcome, judge
from ...domain.standings import Standing
from ..catalogue.catalogue import Catalogue
from ..db.pool import BROKEN, Connection, is_closed, map_closed_connection
from . import rows
from .facts import load_facts, needs_shared_state
from .sql import LOCK_USERS, WRITE_BATCH, WRITE_HELD, WRITE_SHARED, WRITE_TICKETS, columns

Statement: TypeAlias = tuple[Any, ...]
"""SQL and its arguments."""

_ACKNOWLEDGE_REPLAY = "SELECT pg_logical_emit_message(true, 'laurels.replay', '')"
_DOUBTFUL = ("08", "57P", "58", "XX")
"""Classes of SQLSTATE: connection, operator intervention, system and internal errors."""


class TransactionResolutionUnknown(Exception):
    """The connection broke while committing: the batch may be written, or not.

    `batch_id` is None when the batch was not sent yet.
    """

    def __init__(self, reason: str, batch_id: int | None = None) -> None:
        super().__init__(reason)
        self.batch_id = batch_id


class StaleUser(Exception):
    """A user of the batch has changed since they were read: nothing is written."""


class WindowRolledOver(Exception):
    """By the ledger's clock a window has ended that this process assumed open: nothing is written."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now.isoformat())
        self.now = now


class StandingChange(msgspec.Struct, frozen=True, gc=False):
    """One committed standing, for the index."""

    window: Window
    user_id: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """The rows of one COMMIT. `outcomes` are in the order of the submissions.

    `shadows`: shadowed user id -> standing in the default board before and after. The action at position n counts
    at `now` plus min(n, `microseconds_left`) microseconds.
    """

    batch_id: int
    now: datetime
    outcomes: list[Outcome]
    changes: list[StandingChange]
    new_actions: list[Recorded]
    shadows: Mapping[int, tuple[Standing | None, Standing | None]]
    microseconds_left: int = 0


async def commit_batch(
    connection: Connection,
    catalogue: Catalogue,
    node: UUID,
    submissions: Sequence[Submission],
    detectors: DetectorEngine,
    *,
    pessimistic: bool = False,
) -> CommittedBatch:
    """Judge `submissions` and write them, all or none. `pessimistic` locks their users before reading them.

    Raises StaleUser (retry it, `pessimistic`), WindowRolledOver (retry it), TransactionResolutionUnknown, or an error
    of asyncpg; in every case but TransactionResolutionUnknown nothing is written.
    """
    windows = await catalogue.windows_at(datetime.now(UTC))
    detection = detectors.batch()
    try:
        if pessimistic or needs_shared_state(catalogue, submissions):
            await connection.execute("BEGIN")
            await connection.execute(LOCK_USERS, sorted({submission.user_id for submission in submissions}))
        facts = await load_facts(connection, catalogue, submissions, windows)
        if not all(window.span.covers(facts.now) for window in windows):
            raise WindowRolledOver(facts.now)
        judgement = judge(submissions, facts, catalogue.types, windows, detection)
        await _write(connection, _statements(catalogue, node, facts, judgement, submissions, windows), facts.batch_id)
    except BaseException:
        await _roll_back(connection)
        raise
    detectors.commit(detection)
    return _committed(facts, judgement, windows)


async def _write(connection: Connection, statements: Sequence[Statement], batch_id: int) -> None:
    """Run the statements in one transaction. A single one is a transaction by itself, unless users are locked."""
    is_begun = connection.is_in_transaction()
    if len(statements) == 1 and not is_begun:
        with _resolved(batch_id), map_closed_connection(connection):
            status = await connection.execute(*statements[0])
        _check_not_stale(statements[0], status)
    elif statements or is_begun:
        if not is_begun:
            await connection.execute("BEGIN")
        for statement in statements:
            _check_not_stale(statement, await connection.execute(*statement))
        with _resolved(batch_id), map_closed_connection(connection):
            status = await connection.execute("COMMIT")
        if status != "COMMIT":
            raise TransactionResolutionUnknown(f"COMMIT answered {status}", batch_id)


def _check_not_stale(statement: Statement, status: str) -> None:
    if statement[0] is WRITE_BATCH and status == "INSERT 0 0":
        raise StaleUser


@contextlib.contextmanager
def _resolved(batch_id: int) -> Iterator[None]:
    """Raise TransactionResolutionUnknown for an error that leaves open whether the commit in the body happened."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if _nothing_written(error):
            raise
        raise TransactionResolutionUnknown(str(error), batch_id) from error
    except BROKEN as error:
        raise TransactionResolutionUnknown(str(error), batch_id) from error


def _nothing_written(error: asyncpg.PostgresError) -> bool:
    """Return whether an error of the committing statement proves that the transaction was rolled back.

    ERROR does: PostgreSQL panics rather than abort a transaction that it has committed. FATAL does not, because it may
    end a commit that is done and waits for a standby; nor do the doubtful classes, in which a proxy reports trouble
    with its server. A value that asyncpg can't encode has no severity, and was never sent.
    """
    if error.severity_en is None and isinstance(error, asyncpg.DataError):
        return True
    return error.severity_en == "ERROR" and not (error.sqlstate or "XX").startswith(_DOUBTFUL)


def _statements(
    catalogue: Catalogue,
    node: UUID,
    facts: Facts,
    judgement: Judgement,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
) -> list[Statement]:
    """Return the statements that write a judgement. WRITE_BATCH, which detects stale users, comes first."""
    if not judgement.actions:
        # A replay must wait for the synchronous standby as its first commit did. A transaction that writes nothing
        # waits for nothing, and would acknowledge a row that a failover then loses.
        replays = any(isinstance(outcome, Accepted) for outcome in judgement.outcomes)
        return [(_ACKNOWLEDGE_REPLAY,)] if replays else []
    batch: Statement = (
        WRITE_BATCH,
        facts.batch_id,
        node,
        facts.now,
        rows.user_rows(facts, judgement),
        rows.action_rows(catalogue, facts.now, judgement, submissions),
        rows.counter_rows(judgement),
        rows.standing_rows(judgement, windows),
    )
    return [batch, *_optional_statements(judgement)]


def _optional_statements(judgement: Judgement) -> Iterator[Statement]:
    """Yield statements that most batches do not need."""
    if judgement.type_counts:
        claims = [(claim.action_type_id, claim.value, claim.user_id, claim.action_id) for claim in judgement.claims]
        yield WRITE_SHARED, *columns(judgement.type_counts.items(), 2), *columns(claims, 4)
    if judgement.held:
        reasons = [(action_id, held.code, held.detail) for action_id, held in judgement.held.items()]
        yield WRITE_HELD, *columns(reasons, 3)
    if judgement.ticket_uses:
        uses = [(use.nonce, use.action_id, use.expires_at) for use in judgement.ticket_uses]
        yield WRITE_TICKETS, *columns(uses, 3)


async def _roll_back(connection: Connection) -> None:
    if not is_closed(connection) and connection.is_in_transaction():
        await connection.execute("ROLLBACK")


def _committed(facts: Facts, judgement: Judgement, windows: Sequence[Window]) -> CommittedBatch:
    by_id = {window.id: window for window in windows}
    changes = [
        StandingChange(by_id[window_id], user_id, standing)
        for (window_id, user_id), standing in judgement.standings.items()
    ]
    return CommittedBatch(
        facts.batch_id,
        facts.now,
        judgement.outcomes,
        changes,
        [action for _, action in judgement.actions],
        judgement.shadows,
        judgement.microseconds_left,
    )
