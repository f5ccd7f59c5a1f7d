"""The receipt of an action that is sent again."""

from __future__ import annotations

from typing import Any

Receipt = dict[str, Any]


def replay_of(receipt: Receipt, **place: Any) -> Receipt:
    """Return what a replay of `receipt` says: the same action, at the user's place now.

    `place`: the members that have changed because the board has moved since, such as `rank` and `seq`.
    """
    return {**receipt, "replayed": True, "previous_rank": None, "entered_top": False, **place}
