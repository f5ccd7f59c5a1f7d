"""Public profiles: search, one person, and the history of a score."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...app import people
from ...app.boards import view_of
from ...app.context import PeopleContext
from ...app.people import FoundPeople, Person, ScoreHistory
from ...domain.errors import Code
from ..fields import AnyUsername, Request
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY


class SearchQuery(Request, frozen=True):
    prefix: Annotated[str, Meta(min_length=1, max_length=32, description="Beginning of the name, case-insensitive")]
    limit: Annotated[int, Meta(ge=1, le=20)] = 10


class PersonQuery(Request, frozen=True):
    username: AnyUsername


class HistoryQuery(Request, frozen=True):
    username: AnyUsername
    days: Annotated[int, Meta(ge=1, le=366, description="Number of days")] = 90


async def search_people(context: PeopleContext, call: Call) -> FoundPeople:
    """Answer with the people whose names begin with a prefix."""
    view = view_of(context.boards, call.user_id)
    return await people.search(context, call.params.prefix, call.params.limit, view)


async def get_person(context: PeopleContext, call: Call) -> Person:
    """Answer with a person's places and most frequent actions."""
    return await people.read_person(context, call.params.username, view_of(context.boards, call.user_id))


async def get_history(context: PeopleContext, call: Call) -> ScoreHistory:
    """Answer with a person's score day by day."""
    view = view_of(context.boards, call.user_id)
    return await people.read_history(context, call.params.username, call.params.days, view)


PEOPLE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/users",
        handler=search_people,
        tag="People",
        summary="Search people by name",
        description="Returns names that begin with `prefix`, case-insensitive, in alphabetical order.",
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
        summary="Get a person's places and most frequent actions",
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
        summary="Get the history of a person's score",
        access="viewer",
        params=HistoryQuery,
        replies={200: ScoreHistory},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
