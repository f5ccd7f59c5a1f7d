"""The action types that can be completed."""

from __future__ import annotations

from ...app import action_types
from ...app.action_types import ActionTypes
from ...app.context import ActionContext
from ..http.responses import Reply
from ..pipeline.call import Call
from ..pipeline.route import Route


async def list_action_types(context: ActionContext, _: Call) -> Reply:
    """Answer with all active types."""
    return Reply(await action_types.list_active(context))


ACTION_TYPES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/action-types",
        handler=list_action_types,
        tag="Actions",
        summary="List the action types that can be completed",
        replies={200: ActionTypes},
    ),
)
