"""Boards."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Column, Table

from ..app import catalogue
from ..domain.board_summary import describe_calendar
from ..domain.boards import Ties
from ..domain.calendars import Calendar, Unit, Weekday
from ..domain.standings import Aggregate, Order
from ..ledger.catalogue.board_editor import BoardDraft, EditedBoard
from .argument_checks import check_request
from .errors import CommandFailed
from .flags import JsonFlag, ReasonFlag, examples
from .ledger import change, first_rows, read
from .operator import operator
from .output import out, print_json, say

board_app = App(name="board")


@board_app.command(name="list", help_epilogue=examples("laurels board list", "laurels board list --json"))
def board_list(*, json: JsonFlag = False) -> None:
    """List all boards, also archived ones and those being filled."""
    boards = read(lambda ledger: first_rows(lambda cursor, count: catalogue.list_boards(ledger, cursor, count)))
    if json:
        print_json([_board_members(board) for board in boards])
        return
    table = Table(Column("slug", no_wrap=True), "name", "ranks by", "windows", "ties", "types", "state")
    for board in boards:
        draft = board.draft
        kinds = "all" if draft.action_types is None else ", ".join(draft.action_types)
        ranks = f"{draft.aggregate}, {'highest' if draft.order == 'desc' else 'lowest'} first"
        table.add_row(
            draft.slug,
            escape(draft.name),
            ranks,
            describe_calendar(draft.calendar),
            draft.ties,
            escape(kinds),
            board.state,
        )
    out.print(table)


@board_app.command(
    name="create",
    help_epilogue=examples(
        'laurels board create monthly "This month" --every month --time-zone Europe/Berlin',
        'laurels board create sprint "Sprint" --every week --interval 2 --anchor 2026-11-02 --at 04:00',
        'laurels board create friday "Friday night" --cron "0 20 * * FRI"',
        'laurels board create best-run "Best run" --aggregate best --types run',
    ),
)
def board_create(
    slug: str,
    name: str,
    *,
    order: Order = "desc",
    aggregate: Aggregate = "sum",
    ties: Ties = "ordinal",
    every: Annotated[Unit | None, Parameter(help="Length of a window; left out: one window for all time.")] = None,
    interval: Annotated[int, Parameter(help="Windows of so many units; needs --anchor when above 1.")] = 1,
    first_day: Annotated[Weekday | None, Parameter(help="On which day weeks begin.")] = None,
    at: Annotated[str, Parameter(help="Local time at which windows begin.")] = "00:00",
    anchor: Annotated[str | None, Parameter(help="Date on which one window begins, such as 2026-11-02.")] = None,
    cron: Annotated[str | None, Parameter(help="Five fields, instead of --every: windows begin when it fires.")] = None,
    time_zone: str = "UTC",
    types: Annotated[list[str] | None, Parameter(negative=(), help="Only these action types count.")] = None,
    reason: ReasonFlag = None,
    json: JsonFlag = False,
) -> None:
    """Create a board. A running node fills it with what counted before, then shows it."""
    kinds = None if types is None else tuple(types)
    calendar = Calendar(every, interval, first_day, at, _date(anchor), cron, time_zone)
    draft = BoardDraft(slug, name, order, aggregate, ties, calendar, kinds)
    _check_draft(draft, reason)
    made = change(lambda ledger: catalogue.create_board(ledger, draft, operator(), reason))
    _print_board(made, "is created; a node fills it now.", json)


@board_app.command(
    name="edit",
    help_epilogue=examples('laurels board edit points --name "All time"', "laurels board edit points --points-cap 500"),
)
def board_edit(
    slug: str,
    *,
    name: str | None = None,
    points_cap: Annotated[
        int | None, Parameter(help="The most one user may earn a day, on the default board; 0: no cap.")
    ] = None,
    reason: ReasonFlag = None,
    json: JsonFlag = False,
) -> None:
    """Rename or cap a board. What a rank on it means never changes."""
    changes: dict[str, Any] = {} if name is None else {"name": name}
    if points_cap is not None:
        changes["daily_points_cap"] = points_cap or None
    _print_board(_edit(slug, changes, reason), "is changed.", json)


@board_app.command(name="archive", help_epilogue=examples("laurels board archive old-season"))
def board_archive(slug: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Hide a board and stop counting for it. `laurels board restore` brings it back with what it missed."""
    _print_board(_edit(slug, {"archived": True}, reason), "is archived.", json)


@board_app.command(name="restore", help_epilogue=examples("laurels board restore old-season"))
def board_restore(slug: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Bring an archived board back; a running node adds what it missed, then shows it."""
    _print_board(_edit(slug, {"archived": False}, reason), "comes back.", json)


def _edit(slug: str, changes: dict[str, Any], reason: str | None) -> EditedBoard:
    from ..web.api.admin_boards import EditBoard

    check_request(EditBoard, {"version": 1, **changes, "reason": reason})
    return change(lambda ledger: catalogue.edit_board(ledger, slug, changes, operator(), reason))


def _date(text: str | None) -> date | None:
    """Return a date. Raises CommandFailed."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"--anchor {text!r} is not a date such as 2026-11-02") from None


def _check_draft(draft: BoardDraft, reason: str | None) -> None:
    from ..web.api.admin_boards import CreateBoard

    members = asdict(draft)
    cap = members.pop("daily_points_cap")
    assert cap is None, "only the default board has one"
    members["calendar"] = msgspec.to_builtins(draft.calendar)
    check_request(CreateBoard, {**members, "reason": reason})


def _board_members(board: EditedBoard) -> dict[str, Any]:
    return {**msgspec.to_builtins(board.draft), "state": board.state, "version": board.version}


def _print_board(board: EditedBoard, words: str, json: bool) -> None:
    if json:
        print_json(_board_members(board))
    else:
        say(f"[bold]{board.draft.slug}[/] {words} (version {board.version})")
