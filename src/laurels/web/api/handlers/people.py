"""What the public may ask about people: search, profile, history.

A shadowed user is to everybody else like somebody who has not scored: neither absent, which would tell the user,
nor with points that no board counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ...http.call import Call
from ..wire.people import Done, FoundPeople, FoundPerson, HistoryDay, Person, ScoreHistory
from .boards import place_on, shadow_of


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
    return user_id in call.services.directory.shadowed and shadow_of(call) != user_id
