"""A page's live socket answered by the test instead of the server: what no server says on demand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, WebSocketRoute


def speak(*frames: dict[str, Any]) -> Callable[[Page], None]:
    """Answer the page's live socket with these frames instead of the server's."""

    def answer(socket: WebSocketRoute) -> None:
        def subscribed(text: str | bytes) -> None:
            asked = json.loads(text)
            if asked["type"] != "subscribe":
                return
            socket.send(json.dumps({"type": "subscribed", "channel": asked["channel"], "resumed": "snapshot"}))
            for one in frames:
                socket.send(json.dumps(one))

        socket.on_message(subscribed)

    return lambda page: page.route_web_socket(re.compile("/api/live"), answer)


def answering(calls: list[WebSocketRoute]) -> Callable[[Page], None]:
    """Answer each connection with one board, in which ada's score is how many calls there were."""

    def answer(socket: WebSocketRoute) -> None:
        calls.append(socket)
        score = len(calls)

        def subscribed(text: str | bytes) -> None:
            asked = json.loads(text)
            socket.send(json.dumps({"type": "subscribed", "channel": asked["channel"], "resumed": "snapshot"}))
            socket.send(json.dumps(frame(seq=score, scores={"ada": score})))

        socket.on_message(subscribed)

    return lambda page: page.route_web_socket(re.compile("/api/live"), answer)


def with_clock(before: Callable[[Page], None]) -> Callable[[Page], None]:
    """Give the page a clock that this test turns."""
    return lambda page: (page.clock.install(), before(page))[1]


def delta(base: str, version: str, after: dict[str, Any]) -> dict[str, Any]:
    """The frame that makes `after` of a board called `base`, naming every row."""
    kept = {name: after[name] for name in ("channel", "size", "seq", "as_of", "rank_state", "total_users")}
    rows = list(enumerate(after["rows"]))
    return {"type": "delta", "base": base, "version": version, "length": len(rows), "rows": rows, **kept}


def frame(seq: int, scores: dict[str, int], epoch: str = "first", rank_state: str = "exact") -> dict[str, Any]:
    rows = [
        {"rank": place, "username": name, "score": score, "movement": 0}
        for place, (name, score) in enumerate(scores.items(), start=1)
    ]
    return {
        "type": "board",
        "channel": "board:points",
        "size": 10,
        "version": f"{epoch}-{seq}",
        "board": "points",
        "name": "All time",
        "order": "desc",
        "period": "all_time",
        "window": {"starts_at": None, "ends_at": None},
        "epoch": epoch,
        "seq": seq,
        "as_of": "2026-01-31T12:00:00.123456Z",
        "rank_state": rank_state,
        "total_users": len(rows),
        "rows": rows,
    }
