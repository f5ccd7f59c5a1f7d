"""What the public may ask about people: search, profile, history.

A shadowed user is to everybody else like somebody who has not scored: neither absent, which would tell the user,
nor with points that no board counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..call import Call
from ..wire.people import Done, FoundPeople, FoundPerson, HistoryDay, Person, ScoreHistory
from .boards import place_on, shadow_of


async def search_people(call: Call) -> FoundPeople:
    found = await call.services.people.search(call.params.prefix, call.params.limit)
    return FoundPeople([FoundPerson(name, 0 if _unseen(call, user_id) else score) for user_id, name, score in found])


async def get_person(call: Call) -> Person:
    profile = await call.services.people.profile(call.params.username)
    boards = call.services.catalogue.boards.values()
    places = [await place_on(call, board, profile.user_id) for board in boards]
    done = [] if _unseen(call, profile.user_id) else [Done(*one) for one in profile.done]
    return Person(profile.username, profile.member_since, places, done)


async def get_history(call: Call) -> ScoreHistory:
    profile = await call.services.people.profile(call.params.username)
    if _unseen(call, profile.user_id):
        return ScoreHistory(profile.username, [], complete=True)
    since = datetime.now(UTC).date() - timedelta(days=call.params.days)
    history = await call.services.people.history(profile.user_id, since)
    return ScoreHistory(profile.username, [HistoryDay(*one) for one in history.days], history.complete)


def _unseen(call: Call, user_id: int) -> bool:
    return user_id in call.services.directory.shadowed and shadow_of(call) != user_id
