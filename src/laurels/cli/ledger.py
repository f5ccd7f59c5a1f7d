"""The ledger that the settings name, opened for one command."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

import structlog

from ..app.admin_context import AdminContext
from ..app.users import find_user
from ..config import Settings
from ..database import database
from ..domain.names import similar_keys
from ..ledger.accounts.accounts import Accounts
from ..ledger.accounts.api_keys import ApiKeys
from ..ledger.accounts.directory import Directory
from ..ledger.accounts.name_guard import NameGuard
from ..ledger.accounts.sessions import Sessions
from ..ledger.accounts.user_editor import UserEditor
from ..ledger.catalogue.board_editor import BoardEditor
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.live_settings import LiveSettings, SettingsStore
from ..ledger.catalogue.type_editor import TypeEditor
from ..ledger.db.paging import MAX_PAGE, Page
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..ledger.events.propagation import wait_for_nodes
from .process import load_settings, run

log = structlog.get_logger(__name__)

T = TypeVar("T")

PROPAGATION_SECONDS = 3.0
"""Nodes read the journal twice a second; a node that was killed is not waited for longer than this."""


@contextlib.asynccontextmanager
async def open_ledger(settings: Settings, *, create: bool = False) -> AsyncIterator[AdminContext]:
    """Yield the opened ledger; `create` makes an embedded one where there is none. Raises DatabaseUnusable."""
    async with database(settings, create=create) as pool:
        yield await _context(settings, pool)


@contextlib.asynccontextmanager
async def change_ledger(settings: Settings) -> AsyncIterator[AdminContext]:
    """Yield the opened ledger; at the end, wait until every running node has applied the changes.

    So a change holds for the next request, whichever node it reaches. Raises DatabaseUnusable.
    """
    async with open_ledger(settings) as context:
        yield context
        lacking = await wait_for_nodes(context.pool, PROPAGATION_SECONDS)
        if lacking:
            log.warning("changed, but not yet confirmed by every node: they follow as soon as they can", nodes=lacking)


def read(work: Callable[[AdminContext], Awaitable[T]]) -> T:
    """Run `work` on the ledger."""
    return run(_on(open_ledger(load_settings()), work))


def change(work: Callable[[AdminContext], Awaitable[T]]) -> T:
    """Run `work` on the ledger, then wait for every node to apply what it changed."""
    return run(_on(change_ledger(load_settings()), work))


def read_user(username: str, work: Callable[[AdminContext, int], Awaitable[T]]) -> T:
    """Run `work` on the ledger and the id of a user."""
    return read(_with_user(username, work))


def change_user(username: str, work: Callable[[AdminContext, int], Awaitable[T]]) -> T:
    """Run `work` on the ledger and the id of a user, then wait for every node to apply what it changed."""
    return change(_with_user(username, work))


async def first_rows(load: Callable[[str | None, int], Awaitable[Page[T]]], limit: int | None = None) -> list[T]:
    """Return the first `limit` rows of a paged list, or all of them."""
    rows: list[T] = []
    cursor = None
    while limit is None or len(rows) < limit:
        page = await load(cursor, MAX_PAGE if limit is None else min(MAX_PAGE, limit - len(rows)))
        rows += page.rows
        cursor = page.next
        if cursor is None:
            break
    return rows


async def _on(
    opened: contextlib.AbstractAsyncContextManager[AdminContext], work: Callable[[AdminContext], Awaitable[T]]
) -> T:
    async with opened as context:
        return await work(context)


def _with_user(
    username: str, work: Callable[[AdminContext, int], Awaitable[T]]
) -> Callable[[AdminContext], Awaitable[T]]:
    async def on_user(context: AdminContext) -> T:
        return await work(context, await find_user(context, username))

    return on_user


async def _context(settings: Settings, pool: Pool) -> AdminContext:
    node_id, reads, catalogue = uuid4(), Reads(pool), Catalogue(pool)
    await catalogue.refresh()
    return AdminContext(
        node_id=node_id,
        pool=pool,
        reads=reads,
        catalogue=catalogue,
        directory=Directory(reads),
        accounts=Accounts(pool, node_id, NameGuard(similar_keys(settings.reserved))),
        sessions=Sessions(pool),
        users=UserEditor(pool, node_id),
        types=TypeEditor(pool, catalogue, node_id),
        boards=BoardEditor(pool, catalogue, node_id),
        api_keys=ApiKeys(pool, node_id),
        settings=SettingsStore(pool, LiveSettings.of(settings), node_id),
    )
