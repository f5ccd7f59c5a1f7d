"""The action types that can be completed."""

from __future__ import annotations

import msgspec

from ..concurrency.read_through import Loaded
from ..domain.actions import ActionType
from ..domain.rules import Member
from .context import ActionContext

_encode = msgspec.json.Encoder().encode


class TicketTimes(msgspec.Struct, frozen=True):
    """The time after its start, in seconds, in which an action may be completed."""

    min_seconds: int
    max_seconds: int


class ActionTypeInfo(msgspec.Struct, frozen=True):
    """`server_only`: only your app's server may complete it. `ticket`: start it first, at /api/actions/start.

    `metadata`: the members that metadata may have; null: any.
    """

    name: str
    description: str
    base_score: int
    server_only: bool
    ticket: TicketTimes | None
    metadata: dict[str, Member] | None


class ActionTypes(msgspec.Struct, frozen=True):
    action_types: list[ActionTypeInfo]


async def list_active(context: ActionContext) -> bytes:
    """Return the active types as encoded ActionTypes. They are encoded once for each version of the catalogue."""
    catalogue = context.catalogue

    async def load() -> Loaded[bytes]:
        kinds = [_type_info(kind) for kind in catalogue.types.values() if kind.is_active]
        return catalogue.generation, _encode(ActionTypes(kinds))

    return await context.types_listed.get("active", catalogue.generation, load)


def _type_info(kind: ActionType) -> ActionTypeInfo:
    rule = kind.rules.ticket
    times = None if rule is None else TicketTimes(rule.min_seconds, rule.max_seconds)
    return ActionTypeInfo(
        kind.name, kind.description, kind.base_score, kind.rules.issuer == "server", times, kind.rules.metadata
    )
