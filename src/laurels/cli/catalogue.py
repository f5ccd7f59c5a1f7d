"""Action types and boards."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Column, Table

from .. import operations
from ..domain.board_summary import describe
from ..domain.boards import Ties
from ..domain.calendars import Calendar, Unit, Weekday
from ..domain.errors import LaurelsError
from ..domain.metadata import canonical_metadata
from ..domain.rules import ScoringRules, parse_rules
from ..domain.standings import Aggregate, Order
from .app import JsonFlag, ReasonFlag, board_app, examples, run, settings, type_app
from .output import out, print_json, say

RulesFile = Annotated[
    Path | None,
    Parameter(
        name="--rules", allow_leading_hyphen=True, help="File with the scoring rules as JSON; - reads standard input."
    ),
]


@type_app.command(name="list", help_epilogue=examples("laurels type list", "laurels type list --json"))
def type_list(*, json: JsonFlag = False) -> None:
    """All action types."""
    kinds = run(operations.list_types(settings()))
    if json:
        print_json([_told_type(kind) for kind in kinds])
        return
    table = Table(Column("name", no_wrap=True), "worth", "rules", "state", "version")
    for kind in kinds:
        draft = kind.draft
        named = ", ".join(msgspec.to_builtins(draft.rules))
        state = "active" if draft.is_active else "[dim]inactive[/]"
        table.add_row(escape(draft.name), f"{draft.base_score:,}", named, state, str(kind.version))
    out.print(table)


@type_app.command(name="show", help_epilogue=examples("laurels type show lesson", "laurels type show lesson --json"))
def type_show(name: str, *, json: JsonFlag = False) -> None:
    """One action type with its rules."""
    kind = run(operations.get_type(settings(), name))
    if json:
        print_json(_told_type(kind))
        return
    table = Table(show_header=False)
    for member, value in _told_type(kind).items():
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        table.add_row(member, escape(shown))
    out.print(table)


@type_app.command(
    name="create",
    help_epilogue=examples(
        "laurels type create lesson --base-score 10",
        "laurels type create quiz --base-score 25 --rules quiz.json --description 'Pass a quiz'",
    ),
)
def type_create(
    name: str,
    *,
    base_score: int,
    rules: RulesFile = None,
    description: str = "",
    reason: ReasonFlag = None,
    json: JsonFlag = False,
) -> None:
    """Make an action type; nodes know it within a second."""
    draft = operations.TypeDraft(name, description, base_score, _rules(rules) or ScoringRules(), is_active=True)
    _print_type(run(operations.create_type(settings(), draft, reason)), "is made.", json)


@type_app.command(
    name="edit",
    help_epilogue=examples(
        "laurels type edit lesson --base-score 12 --reason 'new season'",
        "laurels type edit quiz --rules quiz.json",
        "laurels type edit quiz --no-active",
    ),
)
def type_edit(
    name: str,
    *,
    base_score: int | None = None,
    rules: RulesFile = None,
    description: str | None = None,
    active: bool | None = None,
    reason: ReasonFlag = None,
    json: JsonFlag = False,
) -> None:
    """Change what is named; the rest stays as it is, and so does what was awarded."""
    sent = {"base_score": base_score, "rules": _rules(rules), "description": description, "is_active": active}
    _print_type(run(operations.edit_type(settings(), name, _given(sent), reason)), "is changed.", json)


@type_app.command(
    name="try",
    help_epilogue=examples(
        "laurels type try quiz --user ada",
        "laurels type try quiz --user ada --metadata '{\"level\": 3}' --rules draft.json",
    ),
)
def type_try(
    name: str,
    *,
    user: str,
    metadata: str | None = None,
    rules: RulesFile = None,
    base_score: int | None = None,
    by_server: bool = False,
    json: JsonFlag = False,
) -> int:
    """Ask what the rules would say of an action of this user; nothing is written.

    Exit code 1 when they would refuse it.

    Parameters
    ----------
    metadata
        The action's metadata, as JSON.
    by_server
        As if your app's server vouched for it, which needs no ticket.
    """
    question = operations.DryRunInput(
        username=user, metadata=_object(metadata), by_server=by_server, base_score=base_score, rules=_rules(rules)
    )
    trial = run(operations.try_type(settings(), name, question))
    if json:
        print_json(trial)
    elif trial.verdict == "refused":
        by = f" by [bold]{trial.rule}[/]" if trial.rule else ""
        say(f"[bold red]Refused[/]{by}: {trial.detail} ({trial.code})")
    else:
        why = f" ({escape(trial.reason)})" if trial.reason else ""
        say(
            f"[bold green]{trial.verdict.capitalize()}[/]: {trial.score:,} points{why}, then {trial.new_score:,} in all"
        )
    return 1 if trial.verdict == "refused" else 0


@board_app.command(name="list", help_epilogue=examples("laurels board list", "laurels board list --json"))
def board_list(*, json: JsonFlag = False) -> None:
    """All boards, also archived ones and those being filled."""
    boards = run(operations.list_boards(settings()))
    if json:
        print_json([_told_board(board) for board in boards])
        return
    table = Table(Column("slug", no_wrap=True), "name", "ranks by", "windows", "ties", "types", "state")
    for board in boards:
        draft = board.draft
        kinds = "all" if draft.action_types is None else ", ".join(draft.action_types)
        ranks = f"{draft.aggregate}, {'highest' if draft.order == 'desc' else 'lowest'} first"
        table.add_row(
            draft.slug, escape(draft.name), ranks, describe(draft.calendar), draft.ties, escape(kinds), board.state
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
    """Make a board. A running node folds into it what counted before, then shows it."""
    kinds = None if types is None else tuple(types)
    calendar = Calendar(every, interval, first_day, at, _date(anchor), cron, time_zone)
    draft = operations.BoardDraft(slug, name, order, aggregate, ties, calendar, kinds)
    _print_board(run(operations.create_board(settings(), draft, reason)), "is made; a node fills it now.", json)


@board_app.command(
    name="edit",
    help_epilogue=examples('laurels board edit points --name "For ever"', "laurels board edit points --points-cap 500"),
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
    """Rename or cap a board. What a rank means is fixed for its life."""
    changes = _given({"name": name})
    if points_cap is not None:
        changes["daily_points_cap"] = points_cap or None
    _print_board(run(operations.edit_board(settings(), slug, changes, reason)), "is changed.", json)


@board_app.command(name="archive", help_epilogue=examples("laurels board archive old-season"))
def board_archive(slug: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Show a board no more, and count for it no more. `laurels board restore` brings it back, caught up."""
    _print_board(run(operations.edit_board(settings(), slug, {"archived": True}, reason)), "is archived.", json)


@board_app.command(name="restore", help_epilogue=examples("laurels board restore old-season"))
def board_restore(slug: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Bring an archived board back; a running node folds in what it missed, then shows it."""
    _print_board(run(operations.edit_board(settings(), slug, {"archived": False}, reason)), "comes back.", json)


def _date(text: str | None) -> date | None:
    """Raises CommandFailed for what is not a date."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise operations.CommandFailed(f"--anchor {text!r} is not a date such as 2026-11-02") from None


def _rules(path: Path | None) -> ScoringRules | None:
    """Raises NotDone for a file that can't be read, or holds no rules: with the path in it that is wrong."""
    if path is None:
        return None
    try:
        return parse_rules(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise operations.CommandFailed(f"can't read {path}: {error}") from error
    except LaurelsError as error:
        raise operations.CommandFailed(f"{path}: {_located(error)}") from error


def _object(text: str | None) -> str | None:
    """Return metadata as an action's would be kept. Raises NotDone with the path that is wrong."""
    if text is None:
        return None
    try:
        return canonical_metadata(msgspec.json.decode(text, type=dict), "$")
    except msgspec.DecodeError as error:
        raise operations.CommandFailed(f"--metadata is not a JSON object: {error}") from error
    except LaurelsError as error:
        raise operations.CommandFailed(f"--metadata: {_located(error)}") from error


def _located(error: LaurelsError) -> str:
    return error.detail if error.path in (None, "$") else f"{error.detail} (at {error.path})"


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _told_type(kind: operations.EditedType) -> dict[str, Any]:
    draft = kind.draft
    return {
        "name": draft.name,
        "description": draft.description,
        "base_score": draft.base_score,
        "scoring_rules": msgspec.to_builtins(draft.rules),
        "is_active": draft.is_active,
        "version": kind.version,
    }


def _told_board(board: operations.EditedBoard) -> dict[str, Any]:
    return {**msgspec.to_builtins(board.draft), "state": board.state, "version": board.version}


def _print_type(kind: operations.EditedType, words: str, json: bool) -> None:
    if json:
        print_json(_told_type(kind))
    else:
        say(f"[bold]{escape(kind.draft.name)}[/] {words} (version {kind.version})")


def _print_board(board: operations.EditedBoard, words: str, json: bool) -> None:
    if json:
        print_json(_told_board(board))
    else:
        say(f"[bold]{board.draft.slug}[/] {words} (version {board.version})")
