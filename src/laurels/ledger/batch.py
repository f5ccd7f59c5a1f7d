"""One transaction: lock the users in id order, load what the rules need, judge, write, COMMIT.

Five round trips whatever the batch holds. The promise is made by the COMMIT; whatever fails
before it has written nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from ..domain.actions import Facts, Recorded, Submission, UserFacts
from ..domain.boards import Window
from ..domain.detectors import Watch
from ..domain.judgement import Accepted, Judgement, Outcome, claimed_value, grant_needed, judge
from ..domain.rules import Progress
from ..domain.standings import Standing, micros, sort_score
from .catalogue import Catalogue
from .pool import BROKEN, Connection, is_closed
from .sql import (
    LOAD_BATCH,
    LOAD_CLAIMS,
    LOAD_TICKETS,
    LOCK_TYPES,
    LOCK_USERS,
    READ_TYPES,
    READ_USERS,
    WRITE_BATCH,
    WRITE_HELD,
    WRITE_SHARED,
    WRITE_TICKETS,
    columns,
)

_ACKNOWLEDGE_REPLAY = "SELECT pg_logical_emit_message(true, 'laurels.replay', '')"


class CommitUnknown(Exception):
    """The connection broke during COMMIT: the batch may be written, or not."""


class WindowMoved(Exception):
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

    `shadows`: shadowed user id -> standing in the default board before and after.
    """

    batch_id: int
    now: datetime
    outcomes: list[Outcome]
    changes: list[StandingChange]
    new_actions: list[Recorded]
    shadows: Mapping[int, tuple[Standing | None, Standing | None]]


async def commit_batch(
    connection: Connection,
    catalogue: Catalogue,
    node: UUID,
    submissions: Sequence[Submission],
    watch: Watch,
) -> CommittedBatch:
    """Judge and write `submissions` in one transaction.

    Raises CommitUnknown, WindowMoved (nothing written; ask again), or what asyncpg raises (nothing written).
    """
    windows = await catalogue.windows_at(datetime.now(UTC))
    sighting = watch.batch()
    await connection.execute("BEGIN")
    try:
        facts = await gather(connection, catalogue, submissions, windows)
        if not all(window.span.covers(facts.now) for window in windows):
            raise WindowMoved(facts.now)
        judgement = judge(submissions, facts, catalogue.types, windows, sighting)
        await _write(connection, catalogue, node, facts, judgement, submissions, windows)
    except BaseException:
        await _roll_back(connection)
        raise
    await _commit(connection)
    watch.keep(sighting)
    return _committed(facts, judgement, windows)


async def gather(
    connection: Connection,
    catalogue: Catalogue,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
    *,
    locking: bool = True,
) -> Facts:
    """All that judging needs, inside the caller's transaction. Not `locking`, it writes nothing and holds nobody up."""
    user_ids = sorted({submission.user_id for submission in submissions})
    users = await connection.fetch(LOCK_USERS if locking else READ_USERS, user_ids)
    shared = await _shared(connection, catalogue, submissions, LOCK_TYPES if locking else READ_TYPES)
    identifiers = {(item.user_id, item.identifier): None for item in submissions}
    counters = {
        (item.user_id, type_id): None for item in submissions for type_id in catalogue.counted_types(item.action_type)
    }
    rows = await connection.fetch(
        LOAD_BATCH,
        user_ids,
        [window.id for window in windows],
        *columns(identifiers, 2),
        *columns(counters, 2),
        len(submissions) if locking else 0,
    )
    facts = _facts(rows, {row[0]: UserFacts(*row) for row in users}, catalogue.default_board.time_zone)
    facts.type_counts, facts.claims = shared
    facts.used_tickets = await _used_tickets(connection, catalogue, submissions)
    return facts


async def _shared(
    connection: Connection, catalogue: Catalogue, submissions: Sequence[Submission], statement: str
) -> tuple[dict[int, int], set[tuple[int, str]]]:
    """Counts and claims of the types whose rules look at what others have done; nothing for a batch without."""
    kinds = {item.action_type: catalogue.types.get(item.action_type) for item in submissions}
    shared = {name: kind for name, kind in kinds.items() if kind is not None and kind.rules.is_shared}
    if not shared:
        return {}, set()
    counts = await connection.fetch(statement, sorted(kind.id for kind in shared.values()))
    wanted = {
        (kind.id, value)
        for item in submissions
        if (kind := shared.get(item.action_type)) and (value := claimed_value(kind, item.decoded())) is not None
    }
    claims = await connection.fetch(LOAD_CLAIMS, *columns(wanted, 2)) if wanted else []
    return dict(counts), {(row[0], row[1]) for row in claims}


async def _used_tickets(connection: Connection, catalogue: Catalogue, submissions: Sequence[Submission]) -> set[bytes]:
    """Which of the tickets presented were used before; asks nothing for a batch without."""
    presented = [
        grant.nonce
        for item in submissions
        if item.ticket is not None
        and (kind := catalogue.types.get(item.action_type)) is not None
        and (grant := grant_needed(kind, item)) is not None
    ]
    if not presented:
        return set()
    return {row["nonce"] for row in await connection.fetch(LOAD_TICKETS, presented)}


def _facts(rows: Sequence[asyncpg.Record], users: dict[int, UserFacts], zone: str) -> Facts:
    """The UNION of load_batch.sql taken apart; its first row is the clock."""
    clock = next(row for row in rows if row["kind"] == 0)
    facts = Facts(clock["at"], clock["ref"], clock["ids"], users, zone=zone)
    for row in rows:
        kind, user_id, ref = row["kind"], row["user_id"], row["ref"]
        if kind == 3:
            facts.standings[ref, user_id] = Standing(row["a"], micros(row["at"]), row["b"], row["flag"], bool(row["c"]))
        elif kind == 2:
            facts.progress[user_id, ref] = Progress(row["a"], row["day"], row["b"], row["at"], *row["ids"])
        elif kind == 1:
            facts.known[user_id, row["identifier"]] = _recorded(row)
    return facts


def _recorded(row: asyncpg.Record) -> Recorded:
    return Recorded(
        action_id=row["ref"],
        user_id=row["user_id"],
        action_type=row["name"],
        identifier=row["identifier"],
        fingerprint=row["a"],
        score_earned=row["b"],
        new_score=row["c"],
        completed_at=row["at"],
        batch_id=row["batch_id"],
        status=row["status"],
    )


async def _write(
    connection: Connection,
    catalogue: Catalogue,
    node: UUID,
    facts: Facts,
    judgement: Judgement,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
) -> None:
    if judgement.actions:
        users = sorted(judgement.scores)
        await connection.execute(
            WRITE_BATCH,
            facts.now,
            facts.batch_id,
            node,
            users,
            *columns([_action_row(catalogue, submissions, *item) for item in judgement.actions], 11),
            *columns(_progress_rows(judgement), 8),
            *columns(_standing_rows(judgement, windows), 6),
            users,
            [judgement.scores[user] for user in users],
            [judgement.points[user] for user in users],
            facts.day,
        )
        if judgement.type_counts:
            await connection.execute(
                WRITE_SHARED, *columns(judgement.type_counts.items(), 2), *columns(_claim_rows(judgement), 4)
            )
        if judgement.held:
            reasons = [(action_id, held.code, held.detail) for action_id, held in judgement.held.items()]
            await connection.execute(WRITE_HELD, *columns(reasons, 3))
        if judgement.ticket_uses:
            uses = [(use.nonce, use.action_id, use.expires_at) for use in judgement.ticket_uses]
            await connection.execute(WRITE_TICKETS, *columns(uses, 3))
    elif any(isinstance(outcome, Accepted) for outcome in judgement.outcomes):
        # A replay must wait for the synchronous standby as its first commit did. A transaction that
        # wrote nothing waits for nothing, and would acknowledge a row that failover then loses.
        await connection.execute(_ACKNOWLEDGE_REPLAY)


def _action_row(
    catalogue: Catalogue, submissions: Sequence[Submission], index: int, action: Recorded
) -> tuple[object, ...]:
    return (
        action.action_id,
        action.user_id,
        catalogue.types[action.action_type].id,
        action.identifier,
        action.score_earned,
        action.new_score,
        submissions[index].metadata,
        action.fingerprint,
        action.completed_at,
        action.status,
        action.reason,
    )


def _progress_rows(judgement: Judgement) -> list[tuple[object, ...]]:
    return [
        (user_id, type_id, p.total_count, p.day, p.day_count, p.hour_count, p.minute_count, p.streak)
        for (user_id, type_id), p in sorted(judgement.progress.items())
    ]


def _standing_rows(judgement: Judgement, windows: Sequence[Window]) -> list[tuple[object, ...]]:
    orders = {window.id: window.board.order for window in windows}
    return [
        (
            window_id,
            user_id,
            standing.score,
            sort_score(standing.score, orders[window_id]),
            standing.version,
            standing.hidden,
        )
        for (window_id, user_id), standing in sorted(judgement.standings.items())
    ]


def _claim_rows(judgement: Judgement) -> list[tuple[object, ...]]:
    return [(claim.action_type_id, claim.value, claim.user_id, claim.action_id) for claim in judgement.claims]


async def _roll_back(connection: Connection) -> None:
    if not is_closed(connection):
        await connection.execute("ROLLBACK")


async def _commit(connection: Connection) -> None:
    try:
        status = await connection.execute("COMMIT")
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.TransactionRollbackError):
        raise  # the only answers to COMMIT that say for certain that nothing was written
    except (*BROKEN, asyncpg.PostgresError) as error:
        raise CommitUnknown(str(error)) from error
    if status != "COMMIT":
        raise CommitUnknown(f"COMMIT answered {status}")


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
    )
