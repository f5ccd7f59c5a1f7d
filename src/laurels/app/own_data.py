"""A user's own data: places, recent actions, ledger rows, and all of it as an export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from ..ledger.accounts import erasure
from ..ledger.accounts.erasure import Counter, KeptSession, PersonalData
from ..ledger.queries import score_history
from ..ledger.queries.score_history import LedgerEntry, Statement
from ..ledger.queries.user_actions import StoredRow
from .accounts import Account
from .boards import PlaceOnBoard, read_places, view_of
from .context import OwnDataContext

EXPORT_PAGE = 1_000
"""Rows that are read at once for an export."""


class RecentAction(msgspec.Struct, frozen=True):
    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    status: str
    completed_at: datetime
    created_at: datetime


class Me(msgspec.Struct, frozen=True):
    user: Account
    places: list[PlaceOnBoard]
    recent_actions: list[RecentAction]


class PersonalRecord(msgspec.Struct, frozen=True):
    """Everything that is stored about a user, without the rows of the ledger."""

    user: PersonalData
    places: list[PlaceOnBoard]
    counters: list[Counter]
    sessions: list[KeptSession]


async def read_me(context: OwnDataContext, user_id: int, recent: int) -> Me:
    """Return a user's places on every board and `recent` newest actions. Raises LaurelsError(USER_UNKNOWN)."""
    account = await context.accounts.by_id(user_id)
    places = await read_places(context.boards, account.id, account.username, view_of(context.boards, user_id))
    rows = await context.readers.recent_actions(user_id, recent)
    return Me(Account(account.id, account.username, account.role), places, [_recent_action(row) for row in rows])


async def read_score_history(context: OwnDataContext, user_id: int, cursor: str | None, limit: int) -> Statement:
    """Return a page of a user's ledger rows, newest first, with their sum. Raises LaurelsError(USER_UNKNOWN)."""
    return await score_history.of_user(context.reads, user_id, cursor, limit)


async def read_record(context: OwnDataContext, user_id: int) -> PersonalRecord:
    """Return the beginning of an export. Raises LaurelsError(USER_UNKNOWN)."""
    kept = await erasure.kept_of(context.reads, user_id)
    name = (await context.boards.directory.people([user_id]))[user_id].username
    places = await read_places(context.boards, user_id, name, view_of(context.boards, user_id))
    return PersonalRecord(kept.person, places, kept.counters, kept.sessions)


async def ledger_pages(context: OwnDataContext, user_id: int) -> AsyncIterator[list[LedgerEntry]]:
    """Yield all ledger rows of a user, newest first, in pages of at most EXPORT_PAGE."""
    before: int | None = None
    while page := await score_history.entries_before(context.reads, user_id, before, EXPORT_PAGE):
        yield page
        before = page[-1].id


def _recent_action(row: StoredRow) -> RecentAction:
    return RecentAction(
        row.action_id,
        row.action_type,
        row.action_identifier,
        row.score_earned,
        row.new_score,
        row.status,
        row.completed_at,
        row.created_at,
    )
