"""What the public may ask about people."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import people
from ..wire.people import FoundPeople, HistoryQuery, Person, PersonQuery, ScoreHistory, SearchQuery
from .codes import LEDGER_AWAY, RANKS_AWAY

PEOPLE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/users",
        handler=people.search_people,
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
        handler=people.get_person,
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
        handler=people.get_history,
        tag="People",
        summary="How a person's score grew",
        access="viewer",
        params=HistoryQuery,
        replies={200: ScoreHistory},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
