"""What judging a batch needs, as the ledger has it: read in one statement, so of one instant.

Types whose rules look at what others have done, and tickets, need a statement more each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from ...domain.actions import ActionType, Facts, Recorded, Submission, UserFacts
from ...domain.boards import Window
from ...domain.judgement import claimed_value, grant_needed
from ...domain.rules import Progress
from ...domain.standings import Standing, micros
from ..catalogue.catalogue import Catalogue
from ..db import action_ids
from ..db.pool import Connection
from .sql import LOAD_BATCH, LOAD_CLAIMS, LOAD_TICKETS, LOCK_TYPES, READ_TYPES, columns


async def load_facts(
    connection: Connection,
    catalogue: Catalogue,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
    *,
    writing: bool = True,
) -> Facts:
    """Not `writing`, there are no action ids, and nothing is locked.

    Inside the caller's transaction when a type `looks_at_others`: their counts are locked.
    """
    user_ids = sorted({submission.user_id for submission in submissions})
    shared = await _shared(connection, catalogue, submissions, LOCK_TYPES if writing else READ_TYPES)
    identifiers = {(item.user_id, item.identifier): None for item in submissions}
    counters = {
        (item.user_id, type_id): None for item in submissions for type_id in catalogue.counted_types(item.action_type)
    }
    used: set[bytes] = set()
    while True:  # again for each ticket that shows up as used, so seldom more than once
        rows = await connection.fetch(
            LOAD_BATCH,
            user_ids,
            [window.id for window in windows],
            *columns(identifiers, 2),
            *columns(counters, 2),
            len(submissions) if writing else 0,
        )
        seen, used = used, await _used_tickets(connection, catalogue, submissions)
        if used <= seen:
            break  # else a ticket may have been used since, by an action that was not there yet: it is now
    facts = _facts(rows, catalogue.default_board.time_zone)
    facts.type_counts, facts.claims = shared
    facts.used_tickets = used
    return facts


def needs_shared_state(catalogue: Catalogue, submissions: Iterable[Submission]) -> bool:
    """Whether judging needs what other users did: no user's row tells when that changes."""
    return bool(_shared_types(catalogue, submissions))


def _shared_types(catalogue: Catalogue, submissions: Iterable[Submission]) -> dict[str, ActionType]:
    names = {item.action_type for item in submissions}
    return {name: kind for name in names if (kind := catalogue.types.get(name)) is not None and kind.rules.is_shared}


async def _shared(
    connection: Connection, catalogue: Catalogue, submissions: Sequence[Submission], statement: str
) -> tuple[dict[int, int], set[tuple[int, str]]]:
    """Counts and claims of the types whose rules look at what others have done; nothing for a batch without."""
    shared = _shared_types(catalogue, submissions)
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
    """Which of the tickets presented were used before; asks nothing for a batch without.

    After the users were read: a use that was missed then has changed its user since.
    """
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


def _facts(rows: Sequence[asyncpg.Record], zone: str) -> Facts:
    """The UNION of load_batch.sql taken apart; its first row is the clock."""
    clock = next(row for row in rows if row["kind"] == 0)
    facts = Facts(clock["at"], clock["ref"], action_ids.spread(clock["ids"]), {}, zone=zone)
    for row in rows:
        kind, user_id, ref = row["kind"], row["user_id"], row["ref"]
        if kind == 3:
            facts.standings[ref, user_id] = Standing(row["a"], micros(row["at"]), row["b"], row["flag"], bool(row["c"]))
        elif kind == 4:
            facts.users[user_id] = UserFacts(user_id, row["status"], row["a"], row["day"], row["b"], row["version"])
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
        reason=row["reason"],
    )
