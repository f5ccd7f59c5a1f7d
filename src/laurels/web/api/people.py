"""Public profiles: search, person page and score history."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from ...domain.errors import Code
from ..pipeline.call import Call
from ..pipeline.route import Route
from .boards import PlaceOnBoard, place_on, view_of
from .codes import LEDGER_AWAY, RANKS_AWAY
from .fields import AnyUsername, Request


class FoundPerson(msgspec.Struct, frozen=True):
    """`score` is that of the default board."""

    username: str
    score: int


class FoundPeople(msgspec.Struct, frozen=True):
    people: list[FoundPerson]


class Done(msgspec.Struct, frozen=True):
    """How often somebody completed one type of action, and when last."""

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


class SearchQuery(Request, frozen=True):
    prefix: Annotated[str, Meta(min_length=1, max_length=32, description="How the name begins, whatever its case")]
    limit: Annotated[int, Meta(ge=1, le=20)] = 10


class PersonQuery(Request, frozen=True):
    username: AnyUsername


class HistoryQuery(Request, frozen=True):
    username: AnyUsername
    days: Annotated[int, Meta(ge=1, le=366, description="How many days back")] = 90


async def search_people(call: Call) -> FoundPeople:
    found = await call.services.people.search(call.params.prefix, call.params.limit)
    return FoundPeople([FoundPerson(name, 0 if _unseen(call, user_id) else score) for user_id, name, score in found])


async def get_person(call: Call) -> Person:
    services = call.services
    who = await services.directory.who(call.params.username)
    places = [await place_on(call, board, who.id, who.username) for board in services.catalogue.boards.values()]
    done = [] if _unseen(call, who.id) else await services.people.done(who.id)
    return Person(who.username, who.member_since, places, [Done(*one) for one in done])


async def get_history(call: Call) -> ScoreHistory:
    who = await call.services.directory.who(call.params.username)
    if _unseen(call, who.id):
        return ScoreHistory(who.username, [], complete=True)
    since = datetime.now(UTC).date() - timedelta(days=call.params.days)
    history = await call.services.people.history(who.id, since)
    return ScoreHistory(who.username, [HistoryDay(*one) for one in history.days], history.complete)


def _unseen(call: Call, user_id: int) -> bool:
    return user_id in call.services.directory.shadowed and view_of(call).shadowed_user != user_id


PEOPLE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/users",
        handler=search_people,
        tag="People",
        summary="Who is called so",
        description="Names that begin with `prefix`, whatever their case, in the order of the alphabet.",
        access="viewer",
        params=SearchQuery,
        replies={200: FoundPeople},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/users/{username}",
        handler=get_person,
        tag="People",
        summary="A person: places, and what was done",
        access="viewer",
        params=PersonQuery,
        replies={200: Person},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/users/{username}/history",
        handler=get_history,
        tag="People",
        summary="How a person's score grew",
        access="viewer",
        params=HistoryQuery,
        replies={200: ScoreHistory},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
