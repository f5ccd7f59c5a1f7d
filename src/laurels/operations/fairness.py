"""Reviews, reversals, adjustments, a user's ledger, and erasure."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ..config import Settings
from ..database import database
from ..ledger.accounts import erasure
from ..ledger.accounts.directory import Directory
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.corrections import corrections, review
from ..ledger.corrections.corrections import Correction
from ..ledger.corrections.review import Decided, Held
from ..ledger.db.paging import MAX_PAGE
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..ledger.queries import score_history
from ..ledger.queries.score_history import LedgerEntry
from .changes import changing
from .operator import operator


async def list_held(settings: Settings, limit: int) -> list[Held]:
    """The oldest `limit`."""
    found: list[Held] = []
    cursor = None
    async with database(settings) as pool:
        while len(found) < limit:
            page = await review.pending(pool, cursor, min(MAX_PAGE, limit - len(found)))
            found += page.rows
            cursor = page.next
            if cursor is None:
                break
    return found


async def approve(settings: Settings, action_id: int, reason: str) -> Decided:
    async with changing(settings) as pool:
        return await review.approve(pool, operator(), action_id, reason)


async def reject(settings: Settings, action_id: int, reason: str) -> Decided:
    async with changing(settings) as pool:
        return await review.reject(pool, operator(), action_id, reason)


async def reverse(settings: Settings, action_id: int, reason: str) -> Correction:
    async with changing(settings) as pool:
        return await corrections.reverse(pool, operator(), action_id, reason)


async def adjust(settings: Settings, username: str, points: int, reason: str, identifier: str) -> Correction:
    async with _user(settings, username, changes=True) as (pool, user_id):
        catalogue = Catalogue(pool)
        await catalogue.refresh()
        return await corrections.adjust(pool, catalogue, operator(), user_id, points, reason, identifier)


async def read_ledger(settings: Settings, username: str, limit: int) -> tuple[int, int, list[LedgerEntry]]:
    """(score in the default board, sum of what counts, the newest `limit` rows)."""
    found: list[LedgerEntry] = []
    cursor = None
    async with _user(settings, username) as (pool, user_id):
        while True:
            part = await score_history.of_user(Reads(pool), user_id, cursor, min(MAX_PAGE, limit - len(found)))
            found += part.page.rows
            cursor = part.page.next
            if cursor is None or len(found) >= limit:
                return part.score, part.total, found


async def erase(settings: Settings, username: str, reason: str | None) -> bool:
    """False: was erased already."""
    async with _user(settings, username, changes=True) as (pool, user_id):
        return await erasure.erase(pool, operator(), user_id, reason)


@contextlib.asynccontextmanager
async def _user(settings: Settings, username: str, *, changes: bool = False) -> AsyncIterator[tuple[Pool, int]]:
    async with (changing if changes else database)(settings) as pool:
        yield pool, await Directory(Reads(pool)).find_any(username)
