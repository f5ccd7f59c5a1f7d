"""Action types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Column, Table

from ..app import catalogue
from ..app.catalogue import DryRunInput
from ..domain.errors import LaurelsError
from ..domain.metadata import canonical_metadata
from ..domain.rules import ScoringRules, parse_rules
from ..ledger.catalogue.type_editor import EditedType, TypeDraft
from ..ledger.write.dry_run import DryRun
from .argument_checks import check_request
from .errors import CommandFailed
from .flags import JsonFlag, ReasonFlag, examples
from .ledger import change, first_rows, read
from .operator import operator
from .output import out, print_json, say

type_app = App(name="type")

RulesFile = Annotated[
    Path | None,
    Parameter(
        name="--rules", allow_leading_hyphen=True, help="File with the scoring rules as JSON; - reads standard input."
    ),
]


@type_app.command(name="list", help_epilogue=examples("laurels type list", "laurels type list --json"))
def type_list(*, json: JsonFlag = False) -> None:
    """List all action types."""
    kinds = read(lambda ledger: first_rows(lambda cursor, count: catalogue.list_types(ledger, cursor, count)))
    if json:
        print_json([_type_members(kind) for kind in kinds])
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
    """Show one action type with its rules."""
    kind = read(lambda ledger: catalogue.get_type(ledger, name))
    if json:
        print_json(_type_members(kind))
        return
    table = Table(show_header=False)
    for member, value in _type_members(kind).items():
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
    """Create an action type; nodes know it within a second."""
    from ..web.api.admin_types import CreateActionType

    draft = TypeDraft(name, description, base_score, _rules(rules) or ScoringRules(), is_active=True)
    _check(CreateActionType, asdict(draft), reason)
    made = change(lambda ledger: catalogue.create_type(ledger, draft, operator(), reason))
    _print_type(made, "is created.", json)


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
    """Change the members that are given. What was awarded stays as it is."""
    from ..web.api.admin_types import EditActionType

    given = {"base_score": base_score, "rules": _rules(rules), "description": description, "is_active": active}
    changes = {member: value for member, value in given.items() if value is not None}
    _check(EditActionType, {"version": 1, **changes}, reason)
    edited = change(lambda ledger: catalogue.edit_type(ledger, name, changes, operator(), reason))
    _print_type(edited, "is changed.", json)


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
    """Judge a hypothetical action of a user by the rules, and write nothing.

    Exit code 1 when the rules would refuse it.

    Parameters
    ----------
    metadata
        The action's metadata, as JSON.
    by_server
        Judge as if your app's server vouched for the action, which needs no ticket.
    """
    wanted = DryRunInput(
        username=user, metadata=_metadata(metadata), by_server=by_server, base_score=base_score, rules=_rules(rules)
    )
    judged = read(lambda ledger: catalogue.dry_run_type(ledger, name, wanted))
    if json:
        print_json(judged)
    else:
        _print_dry_run(judged)
    return 1 if judged.verdict == "refused" else 0


def _print_dry_run(judged: DryRun) -> None:
    if judged.verdict == "refused":
        by = f" by [bold]{judged.rule}[/]" if judged.rule else ""
        say(f"[bold red]Refused[/]{by}: {judged.detail} ({judged.code})")
        return
    why = f" ({escape(judged.reason)})" if judged.reason else ""
    verdict = f"[bold green]{judged.verdict.capitalize()}[/]"
    say(f"{verdict}: {judged.score:,} points{why}, then {judged.new_score:,} in all")


def _rules(path: Path | None) -> ScoringRules | None:
    """Return the rules in a file. Raises CommandFailed with the path of the member that is wrong."""
    if path is None:
        return None
    try:
        return parse_rules(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"can't read {path}: {error}") from error
    except LaurelsError as error:
        raise CommandFailed(f"{path}: {_located(error)}") from error


def _metadata(text: str | None) -> str | None:
    """Return metadata as the ledger would keep it. Raises CommandFailed with the path that is wrong."""
    if text is None:
        return None
    try:
        return canonical_metadata(msgspec.json.decode(text, type=dict), "$")
    except msgspec.DecodeError as error:
        raise CommandFailed(f"--metadata is not a JSON object: {error}") from error
    except LaurelsError as error:
        raise CommandFailed(f"--metadata: {_located(error)}") from error


def _located(error: LaurelsError) -> str:
    return error.detail if error.path in (None, "$") else f"{error.detail} (at {error.path})"


def _check(request: type, members: Mapping[str, Any], reason: str | None) -> None:
    """Hold members of a TypeDraft to what the API takes, under the API's names."""
    named = {"scoring_rules" if name == "rules" else name: value for name, value in members.items()}
    check_request(request, {**named, "reason": reason})


def _type_members(kind: EditedType) -> dict[str, Any]:
    draft = kind.draft
    return {
        "name": draft.name,
        "description": draft.description,
        "base_score": draft.base_score,
        "scoring_rules": msgspec.to_builtins(draft.rules),
        "is_active": draft.is_active,
        "version": kind.version,
    }


def _print_type(kind: EditedType, words: str, json: bool) -> None:
    if json:
        print_json(_type_members(kind))
    else:
        say(f"[bold]{escape(kind.draft.name)}[/] {words} (version {kind.version})")
