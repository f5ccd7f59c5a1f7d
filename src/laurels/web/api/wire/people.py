"""What the public may ask about people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from .boards import PlaceOnBoard
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
