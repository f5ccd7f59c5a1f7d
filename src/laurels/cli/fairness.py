"""What moderators do: reviews, reversals, adjustments, a score explained, and erasure."""

from __future__ import annotations

import secrets
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import operations
from .app import JsonFlag, ReasonFlag, WhyFlag, action_app, examples, review_app, run, settings, user_app
from .output import confirm, out, print_json, say

Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))]


@review_app.command(name="list", help_epilogue=examples("laurels review list", "laurels review list --json"))
def review_list(*, limit: Limit = 50, json: JsonFlag = False) -> None:
    """Held actions that wait for a decision, oldest first."""
    held = run(operations.list_held(settings(), limit))
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
def review_approve(action_id: int, *, reason: WhyFlag, json: JsonFlag = False) -> None:
    """Let a held action count, from its own time on."""
    _say_decided(run(operations.approve(settings(), action_id, reason)), "counts", json)


@review_app.command(name="reject", help_epilogue=examples('laurels review reject 17 --reason "a script"'))
def review_reject(action_id: int, *, reason: WhyFlag, json: JsonFlag = False) -> None:
    """Let a held action never count; what it used up is free again."""
    _say_decided(run(operations.reject(settings(), action_id, reason)), "does not count", json)


@action_app.command(name="reverse", help_epilogue=examples('laurels action reverse 17 --reason "forged"'))
def action_reverse(action_id: int, *, reason: WhyFlag, json: JsonFlag = False) -> None:
    """Undo an action with a compensating row; once, however often it is asked."""
    _say_corrected(run(operations.reverse(settings(), action_id, reason)), json)


@user_app.command(
    name="adjust",
    help_epilogue=examples(
        'laurels user adjust ada 50 --reason "lost in an outage"',
        'laurels user adjust ada --reason "given twice" -- -50',
    ),
)
def user_adjust(
    username: str,
    points: Annotated[int, Parameter(allow_leading_hyphen=True)],
    *,
    reason: WhyFlag,
    identifier: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Give or take points by hand: a row of the ledger with its reason.

    Parameters
    ----------
    identifier
        Names the adjustment among those of the user: the same again is carried out once.
    """
    name = identifier or f"cli-{secrets.token_hex(8)}"
    _say_corrected(run(operations.adjust(settings(), username, points, reason, name)), json)


@user_app.command(name="ledger", help_epilogue=examples("laurels user ledger ada", "laurels user ledger ada --json"))
def user_ledger(username: str, *, limit: Limit = 50, json: JsonFlag = False) -> None:
    """A user's score, row by row, newest first; what is counted adds up to the total."""
    score, total, rows = run(operations.read_ledger(settings(), username, limit))
    if json:
        print_json({"score": score, "total": total, "rows": rows})
        return
    table = Table("row", "what", "status", "counted", "why", "when")
    for row in rows:
        what = row.action_type or row.kind
        kind = "" if row.kind == "completion" else f" ({row.kind} of {row.reverses})" if row.reverses else ""
        undone = f"undone by {row.reversed_by}" if row.reversed_by else row.status
        when = row.created_at.isoformat(" ", "seconds")
        table.add_row(str(row.id), escape(what + kind), undone, f"{row.counted:,}", escape(row.words or ""), when)
    out.print(table)
    say(f"Score [bold]{score:,}[/]; all rows that count add up to {total:,}.")


@user_app.command(name="erase", help_epilogue=examples('laurels user erase ada --reason "asked for it" --yes'))
def user_erase(
    username: str,
    *,
    reason: ReasonFlag = None,
    yes: Annotated[bool, Parameter(negative=(), help="Don't ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Erase a user's personal data for good; the ledger keeps its rows under a pseudonym."""
    confirm(f"Erase {username}? This can't be undone.", yes=yes)
    run(operations.erase(settings(), username, reason))
    if json:
        print_json({"username": username, "status": "erased"})
    else:
        say(f"[bold]{escape(username)}[/] is erased.")


def _say_decided(decided: operations.Decided, words: str, json: bool) -> None:
    if json:
        print_json(decided)
    else:
        say(f"Action {decided.action_id} {words}{' (decided so earlier)' if decided.replayed else ''}.")


def _say_corrected(correction: operations.Correction, json: bool) -> None:
    if json:
        print_json(correction)
        return
    earlier = " (earlier already)" if correction.replayed else ""
    say(f"Row {correction.action_id}: {correction.points:+,} points{earlier}, {correction.new_score:,} in all now.")
