"""Health, and the proof of the index."""

from __future__ import annotations

import msgspec


class Liveness(msgspec.Struct, frozen=True):
    alive: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """`missing` names, in words, what keeps the node from serving; `degraded`, what it serves without for now."""

    ready: bool
    missing: list[str]
    degraded: list[str]


class WindowReport(msgspec.Struct, frozen=True):
    board: str
    standings: int
    drift: int


class IndexReport(msgspec.Struct, frozen=True):
    """`drift` counts standings that index and ledger hold differently."""

    windows: list[WindowReport]
