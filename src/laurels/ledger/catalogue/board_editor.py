"""Boards as operators list and change them.

The meaning of a rank never changes on a living board: order, aggregate, ties, calendar and types are fixed. Another
meaning needs another board. A new board is shown once all earlier actions that count are folded into its open window
(`standings/board_filler.py`), so that it is exact from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from ...domain.boards import Ties
from ...domain.calendars import ALL_TIME_CALENDAR, Calendar, dump_calendar, parse_calendar
from ...domain.errors import Code, LaurelsError
from ...domain.standings import Aggregate, Order
from ..authorization import authorize_change
from ..db.paging import Page, keys_of, page
from ..db.pool import Connection, Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import announce
from .catalogue import Catalogue
from .type_editor import check_version

MAX_BOARDS = 50
"""Living boards; every action is folded into each of them."""

_COLUMNS = """
b.id, b.slug, b.name, b."order", b.aggregate, b.ties, b.calendar, b.is_default, b.daily_points_cap,
b.is_filled, b.archived_at, b.version,
(SELECT array_agg(t.name ORDER BY t.id) FROM action_types t WHERE t.id = ANY (b.action_types)) AS action_types"""
LIST_BOARDS = f"""
SELECT {_COLUMNS} FROM boards b
WHERE ($1::bigint IS NULL OR b.id > $1) AND ($2::boolean IS NULL OR (b.archived_at IS NOT NULL) = $2)
ORDER BY b.id LIMIT $3"""
_BOARD = f"SELECT {_COLUMNS} FROM boards b WHERE b.slug = $1"
_TYPE_IDS = "SELECT name, id FROM action_types WHERE name = ANY ($1::text[])"
_INSERT = """
INSERT INTO boards (slug, name, "order", aggregate, ties, calendar, action_types, is_filled)
VALUES ($1, $2, $3, $4, $5, $6, $7::int[], false)"""
_UPDATE = """
UPDATE boards SET name = $2, daily_points_cap = $3, archived_at = $4, is_filled = $5,
       version = version + 1, updated_at = clock_timestamp()
WHERE id = $1"""
_LIVING = "SELECT count(*) FROM boards WHERE archived_at IS NULL"
_LOCK = "SELECT pg_advisory_xact_lock(5498122)"

FIXED = ("order", "aggregate", "ties", "calendar", "action_types")
"""Members of a BoardDraft that cannot be changed later."""


@dataclass(frozen=True, slots=True)
class BoardDraft:
    """The part of a board that an operator decides. `action_types` None: all; otherwise names."""

    slug: str
    name: str
    order: Order = "desc"
    aggregate: Aggregate = "sum"
    ties: Ties = "ordinal"
    calendar: Calendar = ALL_TIME_CALENDAR
    action_types: tuple[str, ...] | None = None
    daily_points_cap: int | None = None


@dataclass(frozen=True, slots=True)
class EditedBoard:
    """A board with the version that the next edit must name. Not `is_filled`: it is not shown yet."""

    id: int
    draft: BoardDraft
    is_default: bool
    is_filled: bool
    archived_at: datetime | None
    version: int

    @property
    def state(self) -> str:
        """Return "filling", "open" or "archived"."""
        return "archived" if self.archived_at else "open" if self.is_filled else "filling"


class BoardEditor:
    """Create and change boards; every method is one short transaction, after which `catalogue` knows the change."""

    def __init__(self, pool: Pool, catalogue: Catalogue, node: UUID) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._node = node

    async def list(self, cursor: str | None, limit: int, *, archived: bool | None) -> Page[EditedBoard]:
        """Return all boards, oldest first."""
        (after,) = keys_of(cursor, int)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(LIST_BOARDS, after, archived, limit + 1)
        return page([_edited(row) for row in rows], limit, lambda board: (board.id,))

    async def get(self, slug: str) -> EditedBoard:
        """Return a board. Raises LaurelsError(BOARD_UNKNOWN)."""
        async with acquire_within(self._pool) as connection:
            return await _board(connection, slug)

    async def create(self, draft: BoardDraft, actor: Actor, reason: str | None = None) -> EditedBoard:
        """Create a board. Raises LaurelsError ALREADY_EXISTS, CATALOGUE_FULL, or INVALID_REQUEST for unknown types."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_change(connection, actor, "catalogue:write")
            await _make_room(connection)
            kinds = await _type_ids(connection, draft.action_types)
            d = draft
            try:
                await connection.execute(
                    _INSERT, d.slug, d.name, d.order, d.aggregate, d.ties, dump_calendar(d.calendar), kinds
                )
            except asyncpg.UniqueViolationError as error:
                raise LaurelsError(Code.ALREADY_EXISTS, f"There is a board {d.slug!r}.", path="$.slug") from error
            created = await _board(connection, d.slug)
            await self._tell(connection, actor, "board.create", None, created, reason)
        await self._catalogue.refresh()
        return created

    async def edit(
        self, slug: str, version: int, changes: Mapping[str, Any], actor: Actor, reason: str | None = None
    ) -> EditedBoard:
        """Change `name`, `daily_points_cap` or `archived`; any other member of a BoardDraft must be unchanged.

        Raises LaurelsError BOARD_UNKNOWN, VERSION_CONFLICT, BOARD_FIXED or CATALOGUE_FULL.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_change(connection, actor, "catalogue:write")
            found = await _board(connection, slug, lock=True)
            check_version(found.version, version)
            _check_fixed(found, changes)
            await self._update(connection, found, changes)
            after = await _board(connection, slug)
            if after != found:
                await self._tell(connection, actor, "board.edit", found, after, reason)
        await self._catalogue.refresh()
        return after

    async def _update(self, connection: Connection, found: EditedBoard, changes: Mapping[str, Any]) -> None:
        name = changes.get("name", found.draft.name)
        cap = changes.get("daily_points_cap", found.draft.daily_points_cap)
        archived = changes.get("archived", found.archived_at is not None)
        archived_at = (found.archived_at or datetime.now(UTC)) if archived else None
        returns = found.archived_at is not None and not archived
        if returns:
            await _make_room(connection)
        if (name, cap, archived_at) != (found.draft.name, found.draft.daily_points_cap, found.archived_at):
            await connection.execute(_UPDATE, found.id, name, cap, archived_at, found.is_filled and not returns)

    async def _tell(
        self,
        connection: Connection,
        actor: Actor,
        act: str,
        before: EditedBoard | None,
        after: EditedBoard,
        reason: str | None,
    ) -> None:
        subject = f"board:{after.draft.slug}"
        await audit.record(connection, actor, act, subject, before=before, after=after, reason=reason)
        await announce(connection, self._node, "catalogue", [])


def _check_fixed(found: EditedBoard, changes: Mapping[str, Any]) -> None:
    for member in FIXED:
        if member in changes and changes[member] != getattr(found.draft, member):
            raise LaurelsError(
                Code.BOARD_FIXED,
                f"`{member}` is fixed for the life of a board. Make another board, and archive this one.",
                path=f"$.{member}",
            )
    if found.is_default and changes.get("archived"):
        raise LaurelsError(Code.BOARD_FIXED, "The default board can't be archived.", path="$.archived")
    if not found.is_default and changes.get("daily_points_cap") is not None:
        raise LaurelsError(
            Code.BOARD_FIXED, "Points a day are capped on the default board alone.", path="$.daily_points_cap"
        )


async def _make_room(connection: Connection) -> None:
    await connection.execute(_LOCK)
    if await connection.fetchval(_LIVING) >= MAX_BOARDS:
        raise LaurelsError(Code.CATALOGUE_FULL, f"There are {MAX_BOARDS} living boards: archive one first.")


async def _type_ids(connection: Connection, names: Sequence[str] | None) -> list[int] | None:
    if names is None:
        return None
    ids = dict(await connection.fetch(_TYPE_IDS, list(names)))
    for position, name in enumerate(names):
        if name not in ids:
            raise LaurelsError(
                Code.INVALID_REQUEST, f"There is no action type {name!r}.", path=f"$.action_types[{position}]"
            )
    return sorted(set(ids.values()))


async def _board(connection: Connection, slug: str, *, lock: bool = False) -> EditedBoard:
    row = await connection.fetchrow(_BOARD + (" FOR UPDATE OF b" if lock else ""), slug)
    if row is None:
        raise LaurelsError(Code.BOARD_UNKNOWN, f"There is no board {slug!r}.")
    return _edited(row)


def _edited(row: asyncpg.Record) -> EditedBoard:
    kinds = row["action_types"]
    draft = BoardDraft(
        **{name: row[name] for name in ("slug", "name", "order", "aggregate", "ties", "daily_points_cap")},
        calendar=parse_calendar(row["calendar"]),
        action_types=None if kinds is None else tuple(kinds),
    )
    return EditedBoard(row["id"], draft, row["is_default"], row["is_filled"], row["archived_at"], row["version"])
