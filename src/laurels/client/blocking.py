"""The same client for code without an event loop: Flask, Django, scripts, threads.

The asynchronous client lives on an event loop in one thread of its own; callers of any thread wait for it there,
so that they share its connections.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from datetime import datetime
from typing import Any, Self, TypeVar

from .asynchronous import Laurels, Token
from .messages import Action, Board, Place, Receipt, Result, Ticket, User

_T = TypeVar("_T")


class BlockingLaurels:
    """Open it with `with`, or call `close()` at the end. Safe for many threads at once; see Laurels for the rest."""

    def __init__(self, url: str, token: Token | None = None, *, deadline: float = 30.0) -> None:
        self._laurels = Laurels(url, token, deadline=deadline)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="laurels-client", daemon=True)
        self._thread.start()
        self._wait(self._laurels.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Twice is no error."""
        if self._loop.is_closed():
            return
        self._wait(self._laurels.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, action_type: str, *, deadline: float | None = None) -> Ticket:
        return self._wait(self._laurels.start(action_type, deadline=deadline))

    def complete(
        self,
        action_type: str,
        identifier: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        completed_at: datetime | None = None,
        user: User | None = None,
        ticket: str | None = None,
        deadline: float | None = None,
    ) -> Receipt:
        return self._wait(
            self._laurels.complete(
                action_type,
                identifier,
                metadata=metadata,
                completed_at=completed_at,
                user=user,
                ticket=ticket,
                deadline=deadline,
            )
        )

    def batch(self, actions: Iterable[Action], *, deadline: float | None = None) -> list[Result]:
        return self._wait(self._laurels.batch(actions, deadline=deadline))

    def receipt(self, identifier: str) -> Receipt:
        return self._wait(self._laurels.receipt(identifier))

    def top(self, board: str | None = None, limit: int = 10) -> Board:
        return self._wait(self._laurels.top(board, limit))

    def around(self, board: str, username: str, radius: int = 5) -> Board:
        return self._wait(self._laurels.around(board, username, radius))

    def rank(self, board: str, username: str) -> Place:
        return self._wait(self._laurels.rank(board, username))

    def _wait(self, call: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
