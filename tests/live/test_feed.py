"""Promises of a feed: a client that has a known version gets to the present, exactly, by what it is given."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.live.screens import applied

from laurels.live import protocol
from laurels.live.feed import HISTORY, Feed
from laurels.ranking.index import Position
from laurels.ranking.scoreboards import ReadyBoard, Scoreboard, ScoreRow, WindowSpan

NAMES = [f"name-{n}" for n in range(8)]

tables = st.tuples(
    st.lists(st.sampled_from(NAMES), max_size=6, unique=True),
    st.integers(0, 3),
    st.sampled_from(["exact", "rebuilding"]),
    st.sampled_from(["epoch-1", "epoch-1", "epoch-1", "epoch-2"]),
)


def read(seq: int, table: tuple) -> ReadyBoard:
    names, bonus, state, epoch = table
    rows = [ScoreRow(n + 1, name, 100 - n + bonus, None) for n, name in enumerate(names)]
    board = Scoreboard(
        "b", "B", "desc", "all_time", WindowSpan(None, None), epoch, seq, datetime.now(UTC), state, len(rows), rows
    )
    shown = protocol.encode((rows, len(rows), state, "B", 1))
    return ReadyBoard(board, protocol.encode(board), shown, "", seq, (1, Position("e", 1), 1), None)


def content(board: dict) -> tuple:
    return board["rows"], board["total_users"], board["rank_state"], board["epoch"], board["version"]


@given(st.lists(tables, min_size=1, max_size=30))
def test_everybody_comes_to_the_present(history: list[tuple]) -> None:
    """From any version: nothing, one delta, or the whole; and what comes out is what is shown."""
    feed, seen, last = Feed("b", 10), {}, ""
    for seq, table in enumerate(history, 1):
        changed = feed.update(read(seq, table))
        assert changed == (feed.version != last)
        last = feed.version
        seen[last] = json.loads(feed.snapshot())
    present = json.loads(feed.snapshot())
    for version, board in [*seen.items(), ("unknown", None), (None, None)]:
        resumed, message = feed.message_since(version)
        if resumed == "current":
            assert content(board) == content(present)
            continue
        frame = json.loads(message)
        reached = frame if frame["type"] == "board" else applied(board, frame)
        assert content(reached) == content(present)
        assert reached["seq"] == present["seq"]


def test_the_history_is_bounded() -> None:
    feed = Feed("b", 10)
    versions = []
    for seq in range(3 * HISTORY):
        feed.update(read(seq, ([f"n-{seq}", *NAMES[:5]], 0, "exact", "e")))
        versions.append(feed.version)
    assert feed.message_since(versions[-HISTORY])[0] == "delta"
    assert feed.message_since(versions[-HISTORY - 1])[0] == "snapshot"


def test_who_came_into_the_top_is_told() -> None:
    feed = Feed("b", 10)
    feed.update(read(1, (NAMES[:5], 0, "exact", "e")))
    base = feed.version
    feed.update(read(2, ([*NAMES[:5], NAMES[6]], 0, "exact", "e")))
    assert json.loads(feed.message_since(base)[1])["entered_top"] == [NAMES[6]]
