"""What the public may ask about people: search, profile, history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..call import Call
from ..wire.people import Done, FoundPeople, FoundPerson, HistoryDay, Person, ScoreHistory
from .boards import place_on


async def search_people(call: Call) -> FoundPeople:
    found = await call.services.people.search(call.params.prefix, call.params.limit)
    return FoundPeople([FoundPerson(username, score) for username, score in found])


async def get_person(call: Call) -> Person:
    profile = await call.services.people.profile(call.params.username)
    boards = call.services.catalogue.boards.values()
    places = [await place_on(call, board, profile.user_id) for board in boards]
    return Person(profile.username, profile.member_since, places, [Done(*one) for one in profile.done])


async def get_history(call: Call) -> ScoreHistory:
    profile = await call.services.people.profile(call.params.username)
    since = datetime.now(UTC).date() - timedelta(days=call.params.days)
    history = await call.services.people.history(profile.user_id, since)
    return ScoreHistory(profile.username, [HistoryDay(*one) for one in history.days], history.complete)
