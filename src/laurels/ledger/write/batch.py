"""One batch: read what judging needs, judge, write it in one statement.

Two round trips whatever the batch holds, and no lock between them: the statement that writes finds out whether
one of its users changed meanwhile, and then writes nothing (ADR 20). Who was told so comes again and locks the
users first, as does a batch whose rules look at what other users did. The promise is made by the commit; whatever
fails before it has written nothing.
"""

from __future__ import annotations

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
from ...domain.standings import Standing, micros, sort_score
from ..catalogue.catalogue import Catalogue
from ..db.pool import BROKEN, Connection, is_closed
from .facts import load_facts, needs_shared_state
from .sql import LOCK_USERS, WRITE_BATCH, WRITE_HELD, WRITE_SHARED, WRITE_TICKETS, columns, sparse

Statement: TypeAlias = tuple[Any, ...]
"""SQL and its arguments."""

_ACKNOWLEDGE_REPLAY = "SELECT pg_logical_emit_message(true, 'laurels.replay', '')"
_DOUBTFUL = ("08", "57P", "58", "XX")
"""Classes of SQLSTATE: connection, operator intervention, system and internal errors."""


class TransactionResolutionUnknown(Exception):
    """The connection broke during what commits: the batch may be written, or not. `batch_id`: None if it is not."""

    batch_id: int | None = None


class StaleUser(Exception):
    """Somebody changed a user of the batch after it had read them: nothing is written."""


class WindowRolledOver(Exception):
    """The ledger's clock has passed into another window than this process assumed."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now.isoformat())
        self.now = now


class StandingChange(msgspec.Struct, frozen=True, gc=False):
    """One committed standing, as the index takes it."""

    window: Window
    user_id: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """What one COMMIT wrote. `outcomes` are in the order of the submissions.

    `shadows`: shadowed user id -> standing in the default board before and after. The action at position n counted
    at `now` and min(n, `room`) microseconds.
    """

    batch_id: int
    now: datetime
    outcomes: list[Outcome]
    changes: list[StandingChange]
    new_actions: list[Recorded]
    shadows: Mapping[int, tuple[Standing | None, Standing | None]]
    room: int = 0


async def commit_batch(
    connection: Connection,
    catalogue: Catalogue,
    node: UUID,
    submissions: Sequence[Submission],
    watch: DetectorEngine,
    *,
    locking: bool = False,
) -> CommittedBatch:
    """Judge and write `submissions`, all of them or none.

    Raises UserMoved (nothing written; ask again, `locking`), WindowMoved (nothing written; ask again), CommitUnknown,
    or what asyncpg raises (nothing written).
    """
    windows = await catalogue.windows_at(datetime.now(UTC))
    detection = watch.batch()
    try:
        if locking or needs_shared_state(catalogue, submissions):
            await _begin_locked(connection, submissions)
        facts = await load_facts(connection, catalogue, submissions, windows)
        if not all(window.span.covers(facts.now) for window in windows):
            raise WindowRolledOver(facts.now)
        judgement = judge(submissions, facts, catalogue.types, windows, detection)
        await _write(connection, _statements(catalogue, node, facts, judgement, submissions, windows), facts.batch_id)
    except BaseException:
        await _roll_back(connection)
        raise
    watch.commit(detection)
    return _committed(facts, judgement, windows)


async def _begin_locked(connection: Connection, submissions: Sequence[Submission]) -> None:
    await connection.execute("BEGIN")
    await connection.execute(LOCK_USERS, sorted({submission.user_id for submission in submissions}))


async def _write(connection: Connection, statements: Sequence[Statement], batch_id: int) -> None:
    """One statement is a transaction by itself; several, or what was locked, need theirs."""
    try:
        await _write_all(connection, statements)
    except TransactionResolutionUnknown as unknown:
        unknown.batch_id = batch_id
        raise


async def _write_all(connection: Connection, statements: Sequence[Statement]) -> None:
    begun = connection.is_in_transaction()
    if len(statements) == 1 and not begun:
        _check_not_stale(statements[0], await _execute_commit(connection, *statements[0]))
    elif statements or begun:
        if not begun:
            await connection.execute("BEGIN")
        for statement in statements:
            _check_not_stale(statement, await connection.execute(*statement))
        status = await _execute_commit(connection, "COMMIT")
        if status != "COMMIT":
            raise TransactionResolutionUnknown(f"COMMIT answered {status}")


def _check_not_stale(statement: Statement, status: str) -> None:
    if statement[0] is WRITE_BATCH and status == "INSERT 0 0":
        raise StaleUser


async def _execute_commit(connection: Connection, statement: str, *arguments: object) -> str:
    """Run what commits. Raises CommitUnknown unless the server says for certain that nothing was written."""
    try:
        return str(await connection.execute(statement, *arguments))
    except asyncpg.PostgresError as error:
        if _is_certain(error):
            raise
        raise TransactionResolutionUnknown(str(error)) from error
    except BROKEN as error:
        raise TransactionResolutionUnknown(str(error)) from error


def _is_certain(error: asyncpg.PostgresError) -> bool:
    """An ERROR aborts: PostgreSQL panics rather than abort what it has committed.

    FATAL may come while a commit that is done already waits for a standby, and a proxy in between tells of trouble
    with its server in the other classes. A value that asyncpg can't encode has no severity: nothing was sent.
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
    """What writes a judgement; write_batch, which finds out whether it may, comes first."""
    if not judgement.actions:
        # A replay must wait for the synchronous standby as its first commit did. A transaction that
        # wrote nothing waits for nothing, and would acknowledge a row that failover then loses.
        replays = any(isinstance(outcome, Accepted) for outcome in judgement.outcomes)
        return [(_ACKNOWLEDGE_REPLAY,)] if replays else []
    users, first = sorted(judgement.scores), micros(facts.now)
    batch: Statement = (
        WRITE_BATCH,
        facts.now,
        facts.batch_id,
        node,
        users,
        *sparse([_action_row(catalogue, submissions, judgement.room, *item) for item in judgement.actions]),
        *columns(_progress_rows(judgement, facts.now), 8),
        *columns(_standing_rows(judgement, windows, first), 7),
        [judgement.scores[user] for user in users],
        [judgement.points[user] for user in users],
        [facts.users[user].version for user in users],
        facts.day,
    )
    return [batch, *_optional_statements(judgement)]


def _optional_statements(judgement: Judgement) -> Iterator[Statement]:
    """What most batches have nothing of."""
    if judgement.type_counts:
        yield WRITE_SHARED, *columns(judgement.type_counts.items(), 2), *columns(_claim_rows(judgement), 4)
    if judgement.held:
        reasons = [(action_id, held.code, held.detail) for action_id, held in judgement.held.items()]
        yield WRITE_HELD, *columns(reasons, 3)
    if judgement.ticket_uses:
        uses = [(use.nonce, use.action_id, use.expires_at) for use in judgement.ticket_uses]
        yield WRITE_TICKETS, *columns(uses, 3)


def _action_row(
    catalogue: Catalogue, submissions: Sequence[Submission], room: int, index: int, action: Recorded
) -> tuple[object, ...]:
    """What is as usual is None: write_batch.sql knows what that stands for."""
    submission = submissions[index]
    return (
        action.action_id,
        action.user_id,
        catalogue.types[action.action_type].id,
        action.identifier,
        action.score_earned,
        action.new_score,
        submission.metadata,
        action.fingerprint,
        submission.completed_at,
        None if action.status == "awarded" else action.status,
        action.reason,
        index if index < room else room,  # noqa: FURB136  a call for every action
    )


def _progress_rows(judgement: Judgement, now: datetime) -> list[tuple[object, ...]]:
    first = now.microsecond
    return [
        (
            user_id,
            type_id,
            p.total_count,
            p.day_count,
            p.hour_count,
            p.minute_count,
            p.streak,
            0 if p.last_at is None else (p.last_at.microsecond - first) % 1_000_000,  # less than a second apart
        )
        for (user_id, type_id), p in sorted(judgement.progress.items())
    ]


def _standing_rows(judgement: Judgement, windows: Sequence[Window], first: int) -> list[tuple[object, ...]]:
    orders = {window.id: window.board.order for window in windows}
    return [
        (
            window_id,
            user_id,
            standing.score,
            sort_score(standing.score, orders[window_id]),
            standing.version,
            standing.hidden,
            standing.reached_at - first,
        )
        for (window_id, user_id), standing in sorted(judgement.standings.items())
    ]


def _claim_rows(judgement: Judgement) -> list[tuple[object, ...]]:
    return [(claim.action_type_id, claim.value, claim.user_id, claim.action_id) for claim in judgement.claims]


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
        judgement.room,
    )
