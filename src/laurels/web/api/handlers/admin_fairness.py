"""Reviews, reversals, sanctions and erasure. Every node follows through the journal."""

from __future__ import annotations

from msgspec import structs

from ....domain.errors import Code, LaurelsError
from ....domain.names import fold_name
from ....ledger.accounts import erasure, sanctions
from ....ledger.corrections import corrections, review
from ....ledger.queries import score_history
from ....ledger.queries.score_history import LedgerEntry
from ...http.call import Call
from ..wire.admin_fairness import AdminLedger, AdminLedgerRow, Corrected, Decision, HeldAction, HeldActions, Sanctioned
from ..wire.fields import given, raw

_SANCTIONS = {"active": sanctions.lift, "shadowed": sanctions.shadow, "banned": sanctions.ban}


async def list_held(call: Call) -> HeldActions:
    query = call.params
    found = await review.pending(
        call.services.pool, query.cursor, query.limit, user_id=given(query.user_id), code=query.code
    )
    return HeldActions([_held(held) for held in found.rows], found.next)


async def approve_action(call: Call) -> Decision:
    decided = await review.approve(call.services.pool, call.actor, call.params.action_id, call.body.reason)
    return Decision(*structs.astuple(decided))


async def reject_action(call: Call) -> Decision:
    decided = await review.reject(call.services.pool, call.actor, call.params.action_id, call.body.reason)
    return Decision(*structs.astuple(decided))


async def reverse_action(call: Call) -> Corrected:
    correction = await corrections.reverse(call.services.pool, call.actor, call.params.action_id, call.body.reason)
    return Corrected(*structs.astuple(correction))


async def adjust_user(call: Call) -> Corrected:
    services, body = call.services, call.body
    correction = await corrections.adjust(
        services.pool,
        services.catalogue,
        call.actor,
        call.params.user_id,
        body.points,
        body.reason,
        body.adjustment_identifier,
    )
    return Corrected(*structs.astuple(correction))


async def set_user_status(call: Call) -> Sanctioned:
    user_id, body = call.params.user_id, call.body
    changed = await _SANCTIONS[body.status](call.services.pool, call.actor, user_id, body.reason)
    return Sanctioned(user_id, body.status, changed)


async def erase_user(call: Call) -> Sanctioned:
    services, user_id = call.services, call.params.user_id
    user = await services.user_editor.get(user_id)
    if fold_name(user.username) != fold_name(call.body.username):
        raise LaurelsError(Code.INVALID_REQUEST, "This is not the name of this user.", path="$.username")
    changed = await erasure.erase(services.pool, call.actor, user_id, call.body.reason)
    return Sanctioned(user_id, "erased", changed)


async def get_user_ledger(call: Call) -> AdminLedger:
    query = call.params
    found = await score_history.of_user(call.services.reads, query.user_id, query.cursor, query.limit)
    return AdminLedger(found.score, found.total, [_row(entry) for entry in found.page.rows], found.page.next)


def _held(held: review.Held) -> HeldAction:
    return HeldAction(**{**structs.asdict(held), "metadata": raw(held.metadata)})


def _row(entry: LedgerEntry) -> AdminLedgerRow:
    members = structs.asdict(entry)
    action_id = members.pop("id")
    members |= {"metadata": raw(entry.metadata), "reason": entry.words, "counted": entry.counted}
    return AdminLedgerRow(action_id=action_id, **members)
