"""Find the action that brought its user into the top, where a batch holds several of one user.

The index applies a batch at once and returns each user's rank before and after it. The action that crossed is the
first whose standing, among the others as they are after the batch, is in the top and stays there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import structlog
from msgspec.structs import replace

from ..domain.actions import Placement
from ..domain.boards import TOP_SIZE, Board, Window
from ..domain.errors import LaurelsError
from ..domain.judgement import Accepted
from ..domain.standings import micros, order_key, sort_score
from ..ledger.write.batch import CommittedBatch
from .index import MAX_TOP, Index, Place

log = structlog.get_logger(__name__)


async def attribute_entries(
    index: Index, window: Window, batch: CommittedBatch, placements: Mapping[int, Placement]
) -> Mapping[int, Placement]:
    """Return `placements` with `entered_by` set for users who entered the top by one of several actions.

    `window` is the default board's. Asks the index only when there is such a user.
    """
    if len(batch.new_actions) == len(placements):
        return placements  # one action per user
    entered = {user for user, placement in placements.items() if placement.reaches(TOP_SIZE)}
    steps = {user: list(_steps(batch, user)) for user in entered}
    several = {user: passed for user, passed in steps.items() if len(passed) > 1}
    if not several:
        return placements
    top = await _top(index, window)
    crossed = {user: _crossing(window.board, top, passed) for user, passed in several.items()}
    return {**placements, **{user: replace(placements[user], entered_by=action) for user, action in crossed.items()}}


async def _top(index: Index, window: Window) -> Sequence[Place]:
    try:
        return (await index.top(window, MAX_TOP)).places
    except LaurelsError as error:
        log.debug("top not read, the last action counts as the entry", reason=error.detail)
        return ()


def _steps(batch: CommittedBatch, user_id: int) -> Iterator[tuple[int, Place]]:
    """Yield each action of a user that counted, with the standing it led to."""
    first, before = micros(batch.now), None
    for position, outcome in enumerate(batch.outcomes):
        if not isinstance(outcome, Accepted) or outcome.replayed:
            continue
        action = outcome.action
        if action.user_id == user_id and action.status == "awarded":
            at = first + min(position, batch.microseconds_left)
            reached_at = before.reached_at if before is not None and before.score == action.new_score else at
            before = Place(0, user_id, action.new_score, reached_at)
            yield action.action_id, before


def _crossing(board: Board, top: Sequence[Place], steps: Sequence[tuple[int, Place]]) -> int:
    """Return the id of the action that crossed; the last one when the top has moved on since."""
    crossed = steps[-1][0]
    for action_id, place in reversed(steps):
        if not top or _rank_among(board, top, place) > TOP_SIZE:
            break
        crossed = action_id
    return crossed


def _rank_among(board: Board, top: Sequence[Place], own: Place) -> int:
    """Return the rank of a standing among the others of the board, exact as long as it is in `top`."""
    key = _key(board, own)
    before = [place for place in top if place.user_id != own.user_id and _key(board, place) < key]
    if board.ties == "ordinal":
        return 1 + len(before)
    better = [place.score for place in before if place.score != own.score]
    return 1 + len(better if board.ties == "competition" else set(better))


def _key(board: Board, place: Place) -> bytes:
    return order_key(sort_score(place.score, board.order), place.reached_at, place.user_id)
