"""Boards are sent at a few sizes, whatever viewers ask for: one more viewer never costs one more read of the board."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tests.live.screens import PATIENCE, rows, watching
from tests.live.test_sse import listening
from tests.support.node import InProcessNode
from tests.support.polling import eventually

from laurels.live import protocol
from laurels_client import Laurels

PLAYERS = 12


async def play(node: InProcessNode) -> list[str]:
    """Enough players that sizes differ; their tokens, best first."""
    tokens = [await node.token(f"player-{n:02}") for n in range(PLAYERS)]
    for n, token in enumerate(tokens):
        for action in range(PLAYERS - n):
            await node.complete(token, f"a-{action}")
    return tokens


def test_every_size_that_may_be_asked_for_is_sent_whole() -> None:
    sent = {wanted: protocol.sent_size(wanted) for wanted in range(1, 101)}
    assert all(sent[wanted] >= wanted for wanted in sent)
    assert {sent[size] for size in sent} == set(protocol.SIZES)
    assert all(sent[size] == size for size in protocol.SIZES)
    assert protocol.sent_size(None) == protocol.DEFAULT_SIZE


@pytest.mark.parametrize(("wanted", "sent"), [(1, 10), (10, 10), (11, 25), (99, 100)])
async def test_the_server_says_how_many_rows_it_sends(node: InProcessNode, wanted: int, sent: int) -> None:
    """In `subscribed`, and in every frame of the board, on the socket and as events."""
    await play(node)
    async with watching(node, size=wanted) as screen:
        assert (await screen.of_type("subscribed"))["size"] == sent
        board = await screen.of_type("board")
        assert (board["size"], len(board["rows"])) == (sent, min(sent, PLAYERS))
        await node.complete(await node.token("newcomer"), "a-1")
        assert (await screen.frame(lambda frame: frame["type"] in ("board", "delta")))["size"] == sent
    async with listening(node, f"?size={wanted}") as listener:
        assert (await listener.next())[1]["size"] == sent


async def test_a_hundred_sizes_are_few_boards_to_keep_up(node: InProcessNode) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for wanted in range(1, 101):
            screen = await stack.enter_async_context(watching(node, size=wanted))
            await screen.next_board()
        kept = {key for key, topic in node.services.hub._topics.items() if len(topic)}
        assert {size for _, size, _ in kept} == set(protocol.SIZES)
        assert len(kept) == len(protocol.SIZES)


async def test_the_rows_asked_for_are_the_first_of_those_sent(node: InProcessNode) -> None:
    """A cut view stays right over deltas that move people across its edge, also for the Python client."""
    tokens = await play(node)
    seen: list[list[tuple[int | None, str, int]]] = []

    async def follow(laurels: Laurels) -> None:
        async for board in laurels.live("points", 3):
            seen.append([(row.rank, row.username, row.score) for row in board.rows])  # noqa: PERF401  as they come

    async with watching(node, size=3) as screen, Laurels(node.url) as laurels:
        following = asyncio.create_task(follow(laurels))
        await screen.next_board()
        for n in range(6):
            await node.complete(tokens[4], f"b-{n}")
        _, told = await node.get("/api/boards/points?limit=3")
        assert len(told["rows"]) == 3, "HTTP gives exactly what is asked for"
        shown = await screen.until(lambda board: board["seq"] == told["seq"])
        assert rows(shown)[:3] == rows(told)

        async def last() -> list[tuple[int | None, str, int]]:
            return seen[-1] if seen else []

        await eventually(last, rows(told).__eq__, within=PATIENCE)
        following.cancel()
    assert all(len(board) == 3 for board in seen)


async def test_a_version_is_good_for_every_size_that_is_sent_alike(node: InProcessNode) -> None:
    await play(node)
    async with watching(node, size=7) as screen:
        version = (await screen.next_board())["version"]
        assert (await screen.subscribe("board:points", size=9, since=version))["resumed"] == "current"
        assert (await screen.subscribe("board:points", size=25, since=version))["resumed"] == "snapshot"
