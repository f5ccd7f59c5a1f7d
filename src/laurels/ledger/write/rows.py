"""The rows that a batch writes, one struct for each table.

The fields are those of the composite types `batch_user`, `batch_action`, `batch_counter` and `batch_standing` of the
schema, in their order. PostgreSQL takes a list of them as one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from ...domain.actions import Facts, Submission
from ...domain.boards import Window
from ...domain.judgement import Judgement
from ...domain.standings import micros, sort_score
from ..catalogue.catalogue import Catalogue


class BatchUser(NamedTuple):
    """`version` is the row's xmin when judging read it."""

    id: int
    version: int
    current_score: int
    points_day: date
    points_today: int


class BatchAction(NamedTuple):
    """`metadata` is JSON text. `completed_at` is what the client said. `created_at` is in microseconds since 1970."""

    id: int
    user_id: int
    action_type_id: int
    action_identifier: str
    score_earned: int
    new_score: int
    metadata: str | None
    fingerprint: int
    status: str
    reason: str | None
    completed_at: datetime | None
    created_at: int


class BatchCounter(NamedTuple):
    user_id: int
    action_type_id: int
    total_count: int
    day: date | None
    day_count: int
    hour_count: int
    minute_count: int
    streak: int
    last_at: datetime | None


class BatchStanding(NamedTuple):
    """`reached_at` is in microseconds since 1970."""

    window_id: int
    user_id: int
    score: int
    sort_score: int
    reached_at: int
    version: int
    hidden: bool


def user_rows(facts: Facts, judgement: Judgement) -> list[BatchUser]:
    """Return the users of the new actions by id, the order in which they are locked."""
    day = facts.day
    return [
        BatchUser(
            user_id,
            facts.users[user_id].version,
            current_score=judgement.scores[user_id],
            points_day=day,
            points_today=judgement.points[user_id],
        )
        for user_id in sorted(judgement.scores)
    ]


def action_rows(
    catalogue: Catalogue, now: datetime, judgement: Judgement, submissions: Sequence[Submission]
) -> list[BatchAction]:
    """Return the new actions in the order of their submissions."""
    first, most, types = micros(now), judgement.microseconds_left, catalogue.types
    return [
        BatchAction(
            action.action_id,
            action.user_id,
            types[action.action_type].id,
            action.identifier,
            action.score_earned,
            action.new_score,
            submissions[position].metadata,
            action.fingerprint,
            action.status,
            action.reason,
            submissions[position].completed_at,
            first + (position if position < most else most),  # noqa: FURB136  a call for every action
        )
        for position, action in judgement.actions
    ]


def counter_rows(judgement: Judgement) -> list[BatchCounter]:
    """Return the counters by user and action type."""
    return [
        BatchCounter(
            user_id,
            action_type_id,
            counted.total_count,
            counted.day,
            counted.day_count,
            counted.hour_count,
            counted.minute_count,
            counted.streak,
            counted.last_at,
        )
        for (user_id, action_type_id), counted in sorted(judgement.progress.items())
    ]


def standing_rows(judgement: Judgement, windows: Sequence[Window]) -> list[BatchStanding]:
    """Return the standings by window and user."""
    orders = {window.id: window.board.order for window in windows}
    return [
        BatchStanding(
            window_id,
            user_id,
            standing.score,
            sort_score(standing.score, orders[window_id]),
            standing.reached_at,
            standing.version,
            standing.hidden,
        )
        for (window_id, user_id), standing in sorted(judgement.standings.items())
    ]
