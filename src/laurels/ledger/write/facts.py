"""Load what judging a batch needs, in one statement and therefore as of one instant.

Action types whose rules read other users' actions need another statement for their totals and claims, as do tickets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import asyncpg

from ...domain.actions import ActionType, Facts, Recorded, Submission, UserFacts
from ...domain.boards import Window
from ...domain.judgement import claimed_value, required_grant
from ...domain.rules import Progress
from ...domain.standings import Standing, micros
from ..catalogue.catalogue import Catalogue
from ..db import action_ids
from ..db.pool import Connection
from .sql import LOAD_BATCH, LOAD_CLAIMS, LOAD_TICKETS, LOCK_TOTALS, READ_TOTALS, columns


async def load_facts(
    connection: Connection,
    catalogue: Catalogue,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
    *,
    writing: bool = True,
) -> Facts:
    """Load the facts about `submissions` in the open `windows`.

    Needs the caller's transaction when `needs_shared_state`: the totals of those action types are locked. When not
    `writing`, no action ids are reserved and nothing is locked.
    """
    shared = await _shared_state(connection, catalogue, submissions, LOCK_TOTALS if writing else READ_TOTALS)
    used: set[bytes] = set()
    # A ticket found used may have been used since `loaded` was read, by a first try of this very action: only a new
    # read finds that row. A further turn needs a further used ticket, so there is seldom more than one.
    while True:
        loaded = await _load(connection, catalogue, submissions, windows, writing)
        known_as_used, used = used, await _used_tickets(connection, catalogue, submissions)
        if used <= known_as_used:
            break
    facts = _facts(loaded, catalogue.default_board.calendar.time_zone)
    facts.type_counts, facts.claims = shared
    facts.used_tickets = used
    return facts


def needs_shared_state(catalogue: Catalogue, submissions: Iterable[Submission]) -> bool:
    """Return whether judging reads other users' actions: no user's row shows when those change."""
    return bool(_shared_types(catalogue, submissions))


async def _load(
    connection: Connection,
    catalogue: Catalogue,
    submissions: Sequence[Submission],
    windows: Sequence[Window],
    writing: bool,
) -> asyncpg.Record:
    actions = {(item.user_id, item.identifier): None for item in submissions}
    counters = {
        (item.user_id, type_id): None for item in submissions for type_id in catalogue.counted_types(item.action_type)
    }
    return await connection.fetchrow(
        LOAD_BATCH,
        sorted({item.user_id for item in submissions}),
        [window.id for window in windows],
        list(actions),
        list(counters),
        len(submissions) if writing else 0,
    )


def _shared_types(catalogue: Catalogue, submissions: Iterable[Submission]) -> dict[str, ActionType]:
    names = {item.action_type for item in submissions}
    return {name: kind for name in names if (kind := catalogue.types.get(name)) is not None and kind.rules.is_shared}


async def _shared_state(
    connection: Connection, catalogue: Catalogue, submissions: Sequence[Submission], read_totals: str
) -> tuple[dict[int, int], set[tuple[int, str]]]:
    """Return the totals and claims of types whose rules read other users' actions; runs no SQL without such a type."""
    shared = _shared_types(catalogue, submissions)
    if not shared:
        return {}, set()
    totals = await connection.fetch(read_totals, sorted(kind.id for kind in shared.values()))
    wanted = {
        (kind.id, value)
        for item in submissions
        if (kind := shared.get(item.action_type)) and (value := claimed_value(kind, item.decoded())) is not None
    }
    claims = await connection.fetch(LOAD_CLAIMS, *columns(wanted, 2)) if wanted else []
    return dict(totals), {(row["action_type_id"], row["value"]) for row in claims}


async def _used_tickets(connection: Connection, catalogue: Catalogue, submissions: Sequence[Submission]) -> set[bytes]:
    """Return which of the presented tickets were used before; runs no SQL without a ticket.

    Must run after the users were read: a ticket that is used later changes its user's row, which WRITE_BATCH notices.
    """
    presented = [
        grant.nonce
        for item in submissions
        if item.ticket is not None
        and (kind := catalogue.types.get(item.action_type)) is not None
        and (grant := required_grant(kind, item)) is not None
    ]
    if not presented:
        return set()
    return {row["nonce"] for row in await connection.fetch(LOAD_TICKETS, presented)}


def _facts(loaded: asyncpg.Record, zone: str) -> Facts:
    return Facts(
        loaded["now"],
        loaded["batch_id"],
        action_ids.spread(loaded["first_action_ids"]),
        users=_users(loaded),
        known={(row["user_id"], row["action_identifier"]): _recorded(row) for row in loaded["known_actions"]},
        progress=_counters(loaded),
        standings=_standings(loaded),
        zone=zone,
    )


def _users(loaded: asyncpg.Record) -> dict[int, UserFacts]:
    columns = ("user_ids", "user_statuses", "user_current_scores", "user_points_days", "user_points_today")
    return {
        user_id: UserFacts(user_id, status, current_score, points_day, points_today, version)
        for user_id, status, current_score, points_day, points_today, version in _rows(
            loaded, *columns, "user_versions"
        )
    }


def _counters(loaded: asyncpg.Record) -> dict[tuple[int, int], Progress]:
    keys = _rows(loaded, "counter_user_ids", "counter_action_type_ids")
    counters = _rows(
        loaded,
        "counter_total_counts",
        "counter_days",
        "counter_day_counts",
        "counter_last_at",
        "counter_hour_counts",
        "counter_minute_counts",
        "counter_streaks",
    )
    return {key: Progress(*counted) for key, counted in zip(keys, counters, strict=True)}


def _standings(loaded: asyncpg.Record) -> dict[tuple[int, int], Standing]:
    keys = _rows(loaded, "standing_window_ids", "standing_user_ids")
    columns = ("standing_scores", "standing_reached_at", "standing_versions", "standing_hidden", "standing_void")
    return {
        key: Standing(score, micros(reached_at), version, hidden, void)
        for key, (score, reached_at, version, hidden, void) in zip(keys, _rows(loaded, *columns), strict=True)
    }


def _rows(loaded: asyncpg.Record, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Return the rows of some parallel arrays; an array is None when there was no row."""
    return zip(*(loaded[column] or () for column in columns), strict=True)


def _recorded(row: asyncpg.Record) -> Recorded:
    return Recorded(
        action_id=row["id"],
        user_id=row["user_id"],
        action_type=row["action_type"],
        identifier=row["action_identifier"],
        fingerprint=row["fingerprint"],
        score_earned=row["score_earned"],
        new_score=row["new_score"],
        completed_at=row["completed_at"],
        batch_id=row["batch_id"],
        status=row["status"],
        reason=row["reason"],
    )
