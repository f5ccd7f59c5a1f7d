"""Batches of any size, cut into requests that the server accepts.

All of it is encoded before anything is sent: an action that cannot be encoded must not be discovered when those
before it have already counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from .messages import MAX_BATCH, MAX_BATCH_BYTES, Action

_HEAD, _TAIL = b'{"actions":[', b"]}"


def path_for(action: Action) -> str:
    """Return the path that an action is sent to: an API key submits for others, a user's token for its own user."""
    return "/api/actions" if action.user is None else "/api/server/actions"


@dataclass(frozen=True, slots=True)
class Part:
    """One request. `start`: the index of its first action in the batch."""

    start: int
    names: list[str]
    payload: bytes


class Batch:
    """Actions in order, and their requests. Raises ValueError when they cannot be in one batch."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self.actions = list(actions)
        paths = {path_for(action) for action in self.actions}
        if len(paths) > 1:
            raise ValueError("actions on behalf of users and actions of the token's own user go in two batches")
        self.path = f"{paths.pop() if paths else ''}/batch"
        self.parts = list(self._cut())

    def _cut(self) -> Iterator[Part]:
        start, encoded, size = 0, list[bytes](), 0
        for raw in map(msgspec.json.encode, self.actions):
            if encoded and (len(encoded) == MAX_BATCH or size + len(raw) + 1 > MAX_BATCH_BYTES):
                yield self._part(start, encoded)
                start, encoded, size = start + len(encoded), [], 0
            size += len(raw) + 1 if encoded else len(_HEAD) + len(raw) + len(_TAIL)
            encoded.append(raw)
        if encoded:
            yield self._part(start, encoded)

    def _part(self, start: int, encoded: list[bytes]) -> Part:
        names = [action.action_identifier for action in self.actions[start : start + len(encoded)]]
        return Part(start, names, _HEAD + b",".join(encoded) + _TAIL)
