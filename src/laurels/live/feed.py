"""One board at one size: its current version, and what leads to it from each recent one.

A version is a digest of what is shown: equal versions show the same board, whatever happened in between and on
whichever node. Each message is built once for all who need it: the snapshot, and one delta per recent version. Pure:
no clock, no sockets.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Literal

import msgspec

from ..concurrency.bounded_dict import BoundedDict
from ..domain.boards import TOP_SIZE
from ..ranking.scoreboards import ReadyBoard, Scoreboard, ScoreRow
from . import protocol

HISTORY = 64
"""Versions from which a delta can be built: six seconds of a board that changes all the time."""

Resumed = Literal["snapshot", "delta", "current"]


class Feed:
    """Call `update` with what was read; `message_since` answers a subscriber. Messages are JSON, not yet framed."""

    __slots__ = ("_deltas", "_history", "_ready", "_snapshot", "channel", "size", "slug", "version")

    def __init__(self, slug: str, size: int) -> None:
        self.slug = slug
        self.size = size
        self.channel = protocol.BOARD + slug
        self.version = ""
        self._ready: ReadyBoard | None = None
        self._history: BoundedDict[str, Scoreboard] = BoundedDict(HISTORY)
        self._deltas: dict[str, bytes] = {}
        self._snapshot = b""

    def update(self, ready: ReadyBoard) -> bool:
        """Take the board as it was read; return whether subscribers see a difference. O(size)."""
        version = _version(ready)
        changed = version != self.version
        self._snapshot = b""  # also when nothing changed: seq and time may be newer
        self._deltas.clear()
        before = None if self._ready is None else self._ready.board
        self._ready = _sharing_rows(ready, before) if before is not None else ready
        self.version = version
        self._history.put(version, self._ready.board)
        return changed

    def knows(self, version: str | None) -> bool:
        """Return whether a client that has `version` can't be ahead of what was published here."""
        return version is None or version in self._history

    def message_since(self, version: str | None) -> tuple[Resumed, bytes]:
        """Return what leads from `version` to the current one: nothing, a delta, or a whole snapshot."""
        if version == self.version:
            return "current", b""
        base = None if version is None else self._history.get(version)
        if base is None or version is None:
            return "snapshot", self.snapshot()
        delta = self._deltas.get(version)
        if delta is None:
            delta = self._deltas[version] = self._delta(version, base)
        return ("delta", delta) if delta else ("snapshot", self.snapshot())

    def snapshot(self) -> bytes:
        """Return the whole board as a message."""
        assert self._ready is not None, "no board was read yet"
        if not self._snapshot:
            head = b'{"type":"board","channel":"%b","size":%d,"version":"%b",'
            self._snapshot = head % (self.channel.encode(), self.size, self.version.encode()) + self._ready.body[1:]
        return self._snapshot

    def _delta(self, version: str, base: Scoreboard) -> bytes:
        """Return a delta, or nothing where a snapshot says more than a delta can, or is shorter."""
        assert self._ready is not None
        now = self._ready.board
        if not _same_list(base, now):
            return b""
        delta = protocol.encode(
            protocol.Delta(
                channel=self.channel,
                size=self.size,
                base=version,
                version=self.version,
                base_seq=base.seq,
                seq=now.seq,
                as_of=now.as_of,
                rank_state=now.rank_state,
                total_users=now.total_users,
                length=len(now.rows),
                rows=changed_rows(base.rows, now.rows),
                entered_top=entered_top(base.rows, now.rows),
            )
        )
        return delta if len(delta) < len(self.snapshot()) else b""


def changed_rows(before: list[ScoreRow], after: list[ScoreRow]) -> list[tuple[int, ScoreRow]]:
    """Return (0-based position, row) of each row that differs from the one at its position before."""
    known = len(before)
    return [(n, row) for n, row in enumerate(after) if n >= known or (before[n] is not row and before[n] != row)]


def entered_top(before: list[ScoreRow], after: list[ScoreRow]) -> list[str]:
    """Return the usernames among the first TOP_SIZE rows that were not there before."""
    were = {row.username for row in before[:TOP_SIZE]}
    return [row.username for row in after[:TOP_SIZE] if row.username not in were]


def _version(ready: ReadyBoard) -> str:
    digest = hashlib.blake2b(ready.board.epoch.encode() + b" " + ready.shown, digest_size=9).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _same_list(before: Scoreboard, after: Scoreboard) -> bool:
    """Return whether a delta can lead from one to the other: nothing changed that it does not carry."""
    return (
        before.epoch == after.epoch
        and before.window == after.window
        and before.name == after.name
        and before.order == after.order
        and before.period == after.period
    )


def _sharing_rows(ready: ReadyBoard, before: Scoreboard) -> ReadyBoard:
    """Keep unchanged rows once for the whole history, so that they compare by identity."""
    rows = [
        old if old == new else new for old, new in zip(before.rows, ready.board.rows, strict=False)
    ] + ready.board.rows[len(before.rows) :]
    return replace(ready, board=msgspec.structs.replace(ready.board, rows=rows))
