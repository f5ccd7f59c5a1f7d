"""Held actions, and reversals of actions."""

from __future__ import annotations

from cyclopts import App
from rich.markup import escape
from rich.table import Table

from ..app import fairness
from ..ledger.corrections.review import Decided
from .flags import JsonFlag, Limit, RequiredReason, examples
from .ledger import change, first_rows, read
from .operator import operator
from .output import out, print_correction, print_json, say

review_app = App(name="review")
action_app = App(name="action")


@review_app.command(name="list", help_epilogue=examples("laurels review list", "laurels review list --json"))
def review_list(*, limit: Limit = 50, json: JsonFlag = False) -> None:
    """List held actions that wait for a decision, oldest first."""
    held = read(lambda ledger: first_rows(lambda cursor, count: fairness.list_held(ledger, cursor, count), limit))
    if json:
        print_json(held)
        return
    table = Table("action", "user", "type", "points", "what looked wrong", "when")
    for item in held:
        table.add_row(
            str(item.action_id),
            escape(item.username),
            escape(item.action_type),
            f"{item.score_earned:,}",
            escape(f"{item.code}: {item.detail}"),
            item.created_at.isoformat(" ", "seconds"),
        )
    out.print(table)


@review_app.command(name="approve", help_epilogue=examples('laurels review approve 17 --reason "seen the video"'))
def review_approve(action_id: int, *, reason: RequiredReason, json: JsonFlag = False) -> None:
    """Let a held action count, from its own time on."""
    _print_decision(change(lambda ledger: fairness.approve(ledger, action_id, operator(), reason)), "counts", json)


@review_app.command(name="reject", help_epilogue=examples('laurels review reject 17 --reason "a script"'))
def review_reject(action_id: int, *, reason: RequiredReason, json: JsonFlag = False) -> None:
    """Let a held action never count, and free what it used up."""
    decided = change(lambda ledger: fairness.reject(ledger, action_id, operator(), reason))
    _print_decision(decided, "does not count", json)


@action_app.command(name="reverse", help_epilogue=examples('laurels action reverse 17 --reason "forged"'))
def action_reverse(action_id: int, *, reason: RequiredReason, json: JsonFlag = False) -> None:
    """Undo an action with a compensating row, once however often the command runs."""
    print_correction(change(lambda ledger: fairness.reverse(ledger, action_id, operator(), reason)), json)


def _print_decision(decided: Decided, words: str, json: bool) -> None:
    if json:
        print_json(decided)
    else:
        say(f"Action {decided.action_id} {words}{' (decided so earlier)' if decided.replayed else ''}.")
