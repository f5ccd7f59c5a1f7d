"""Action types, boards and their windows, kept in memory.

There are few and they change rarely, so every process holds all of them. A change anywhere reaches the others
through the journal (kind `catalogue`), on which they call `refresh`.
"""

from __future__ import annotations

import asyncio
from copy import copy
from dataclasses import fields
from datetime import UTC, datetime

import asyncpg

from ...domain.actions import ActionType
from ...domain.boards import Board, Window, default_board
from ...domain.calendars import Span, parse_calendar, span_at
from ...domain.errors import Code, LaurelsError
from ...domain.rules import parse_rules
from ..db.pool import Pool, acquire_within

_TYPES = "SELECT id, name, description, base_score, scoring_rules, is_active FROM action_types ORDER BY id"
BOARD_COLUMNS = """
id, slug, name, "order", aggregate, ties, calendar, is_default, action_types, daily_points_cap"""
_BOARDS = f"""
SELECT {BOARD_COLUMNS}, is_filled
FROM boards WHERE archived_at IS NULL ORDER BY is_default DESC, id"""
_WINDOWS = """
SELECT id, board_id, starts_at, ends_at FROM windows
WHERE (starts_at IS NULL OR starts_at <= $1) AND (ends_at IS NULL OR ends_at > $1)"""
_OPEN_WINDOW = """
INSERT INTO windows (board_id, starts_at, ends_at) VALUES ($1, $2, $3)
ON CONFLICT (board_id, starts_at) DO UPDATE SET board_id = EXCLUDED.board_id
RETURNING id"""


class Catalogue:
    """Action types, and the boards where they count. Call `refresh` before the first use."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.types: dict[str, ActionType] = {}
        self.boards: dict[str, Board] = {}
        """Boards that are shown."""
        self.counting: list[Board] = []
        """Boards that actions are folded into: also those that are still being filled."""
        self._default: Board
        self._open: dict[int, Window] = {}
        self._one_refresh = asyncio.Lock()
        self.generation = 0
        """Grows whenever types or boards were read again."""

    @property
    def is_filling(self) -> bool:
        """Return whether there are boards that are not shown yet."""
        return len(self.boards) < len(self.counting)

    @property
    def default_board(self) -> Board:
        return self._default

    def board(self, slug: str) -> Board:
        """Return a board by its slug. Raises LaurelsError(BOARD_UNKNOWN)."""
        try:
            return self.boards[slug]
        except KeyError:
            known = ", ".join(self.boards)
            raise LaurelsError(Code.BOARD_UNKNOWN, f"There is no board {slug!r}. Boards: {known}.") from None

    def counted_types(self, name: str) -> list[int]:
        """Return ids of the types whose counters judge an action of type `name`: its own, and those its rules name."""
        kind = self.types.get(name)
        if kind is None:
            return []
        if kind.rules.requires is None and kind.rules.watch is None:
            return [kind.id]
        named = (self.types.get(other) for other in kind.rules.other_types)
        return list(dict.fromkeys([kind.id, *(other.id for other in named if other is not None)]))

    def with_type(self, kind: ActionType) -> Catalogue:
        """Return a copy with this action type in place of its namesake, for trying it."""
        other = copy(self)
        other.types = {**self.types, kind.name: kind}
        return other

    async def refresh(self) -> None:
        """Read everything again and open the windows of the current time."""
        async with self._one_refresh:  # of two at once, the later one must win
            await self._read()

    async def _read(self) -> None:
        async with acquire_within(self._pool) as connection:
            types = await connection.fetch(_TYPES)
            boards = await connection.fetch(_BOARDS)
        self.types = {row["name"]: _action_type(row) for row in types}
        self.counting = [board_of(row) for row in boards]
        filled = {row["id"] for row in boards if row["is_filled"]}
        self.boards = {board.slug: board for board in self.counting if board.id in filled}
        self._default = default_board(self.boards.values())
        self._open = {}
        self.generation += 1
        await self.windows_at(datetime.now(UTC))

    def cached_windows(self, instant: datetime) -> tuple[Window, ...] | None:
        """Return the window of every board at `instant`, or None if one is not known yet."""
        windows = tuple(self._open.values())
        if len(windows) < len(self.counting) or not all(w.span.covers(instant) for w in windows):
            return None
        return windows

    async def windows_at(self, instant: datetime) -> tuple[Window, ...]:
        """Return the window of every board at `instant`; create those that do not exist yet."""
        cached = self.cached_windows(instant)
        if cached is not None:
            return cached
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_WINDOWS, instant)
            found = {row["board_id"]: row for row in rows}
            for board in self.counting:
                self._open[board.id] = await _window(connection, board, instant, found.get(board.id))
        return tuple(self._open.values())

    async def window(self, board: Board, instant: datetime | None = None) -> Window:
        """Return the window of one board, now by default."""
        known = self._open.get(board.id)
        if known is not None and known.board is board and known.span.covers(instant or datetime.now(UTC)):
            return known
        windows = await self.windows_at(instant or datetime.now(UTC))
        return next(window for window in windows if window.board.id == board.id)


async def _window(
    connection: asyncpg.Connection, board: Board, instant: datetime, row: asyncpg.Record | None
) -> Window:
    if row is not None:
        return Window(row["id"], board, Span(row["starts_at"], row["ends_at"]))
    span = span_at(board.calendar, instant)
    new_id = await connection.fetchval(_OPEN_WINDOW, board.id, span.starts_at, span.ends_at)
    return Window(new_id, board, span)


def _action_type(row: asyncpg.Record) -> ActionType:
    return ActionType(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        base_score=row["base_score"],
        rules=parse_rules(row["scoring_rules"]),
        is_active=row["is_active"],
    )


def board_of(row: asyncpg.Record) -> Board:
    """Return a board from a row with BOARD_COLUMNS."""
    kinds = row["action_types"]
    members = {field.name: row[field.name] for field in fields(Board) if field.name not in ("action_types", "calendar")}
    calendar = parse_calendar(row["calendar"])
    return Board(**members, calendar=calendar, action_types=None if kinds is None else frozenset(kinds))
