"""Public profiles: search, one person, and the history of a score.

To everybody else a shadowed user looks like a user who has not scored: not absent, which would reveal the sanction to
them, and without points that no board counts.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from ..ranking.view import View
from .boards import PlaceOnBoard, read_places
from .context import PeopleContext


class FoundPerson(msgspec.Struct, frozen=True):
    """`score` is that of the default board."""

    username: str
    score: int


class FoundPeople(msgspec.Struct, frozen=True):
    people: list[FoundPerson]


class Done(msgspec.Struct, frozen=True):
    """The number of completions of one type of action, and the time of the last."""

    action_type: str
    count: int
    last_at: datetime


class Person(msgspec.Struct, frozen=True):
    """`places` has one entry per board; `done` the most frequent action types first."""

    username: str
    member_since: datetime
    places: list[PlaceOnBoard]
    done: list[Done]


class HistoryDay(msgspec.Struct, frozen=True):
    """The score of the default board at the end of a day (UTC) on which it was earned."""

    day: date
    score: int


class ScoreHistory(msgspec.Struct, frozen=True):
    """Days without actions are left out. `complete` is false when older actions were not read."""

    username: str
    days: list[HistoryDay]
    complete: bool


async def search(context: PeopleContext, prefix: str, limit: int, view: View) -> FoundPeople:
    """Return the people whose names begin with `prefix`, by name."""
    found = await context.people.search(prefix, limit)
    return FoundPeople(
        [FoundPerson(name, 0 if _is_hidden(context, user_id, view) else score) for user_id, name, score in found]
    )


async def read_person(context: PeopleContext, username: str, view: View) -> Person:
    """Return a person's places and most frequent actions. Raises LaurelsError(USER_UNKNOWN)."""
    who = await context.directory.by_name(username)
    places = await read_places(context.boards, who.id, who.username, view)
    done = [] if _is_hidden(context, who.id, view) else await context.people.done(who.id)
    return Person(who.username, who.member_since, places, [Done(*one) for one in done])


async def read_history(context: PeopleContext, username: str, days: int, view: View) -> ScoreHistory:
    """Return a person's score on the default board day by day (UTC). Raises LaurelsError(USER_UNKNOWN)."""
    who = await context.directory.by_name(username)
    if _is_hidden(context, who.id, view):
        return ScoreHistory(who.username, [], complete=True)
    since = datetime.now(UTC).date() - timedelta(days=days)
    history = await context.people.history(who.id, since)
    return ScoreHistory(who.username, [HistoryDay(*one) for one in history.days], history.complete)


def _is_hidden(context: PeopleContext, user_id: int, view: View) -> bool:
    """Return whether what a user did is hidden in this view: shadowed users see only themselves."""
    return user_id in context.directory.shadowed and view.shadowed_user != user_id
