"""Promises of GET /api/live, over real sockets against a whole node."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import resource
from typing import Any

import pytest
from tests.live.screens import (
    HANDSHAKE,
    Screen,
    members,
    open_screen,
    rows,
    score_of,
    several_watching,
    stalled,
    watching,
)
from tests.support import operators
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.raw_http import exchange
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from laurels import telemetry
from laurels.background import Background
from laurels.config import Settings
from laurels.live import client_connection, keepalive, protocol

NOTHING = (0, 0, 0)


async def scoreboard(node: InProcessNode, board: str = "points") -> dict[str, Any]:
    return (await node.get(f"/api/boards/{board}"))[1]


async def held(node: InProcessNode) -> tuple[int, int, int]:
    """Return the numbers that the hub keeps: viewers, seats, members of audiences."""
    hub = node.services.hub
    return len(hub), hub.connection_limits.acquired, sum(len(topic) for topic in hub._topics.values())


def closed_with(code: int) -> float:
    return telemetry.REGISTRY.get_sample_value("laurels_live_sockets_closed_total", {"code": str(int(code))}) or 0


# -- what is shown


async def test_the_board_as_it_stands_comes_first(node: InProcessNode) -> None:
    """The members of GET /api/scoreboard, at the same seq."""
    await node.complete(await node.token("ada"), "a-1")
    async with watching(node) as screen:
        shown = await screen.next_board()
    _, told = await node.get("/api/scoreboard")
    assert members(shown) == members(told)


async def test_every_change_of_the_top_is_shown(node: InProcessNode) -> None:
    """With the seq and the score of the receipt."""
    token = await node.token("ada")
    async with watching(node) as screen:
        assert rows(await screen.next_board()) == []
        for n in range(5):
            _, receipt = await node.complete(token, f"a-{n}")
            shown = await screen.next_board()
            assert rows(shown) == [(1, "ada", receipt["new_score"])]
            assert shown["seq"] == receipt["seq"]


async def test_after_a_burst_every_screen_shows_what_the_api_tells(node: InProcessNode) -> None:
    """Many users at once, screens that join in the midst of it, and no board ever goes back."""
    tokens = await asyncio.gather(*(node.token(f"user-{n}") for n in range(15)))
    async with several_watching(node, 5) as screens, asyncio.TaskGroup() as tasks:
        burst = tasks.create_task(_burst(node, tokens))
        async with watching(node) as one, watching(node) as another:
            await one.next_board()
            await burst
            told = await scoreboard(node)
            for screen in [*screens, one, another]:
                shown = await screen.until(lambda board: board["seq"] == told["seq"])
                assert members(shown) == members(told)


async def _burst(node: InProcessNode, tokens: list[str]) -> None:
    for n in range(10):
        await asyncio.gather(*(node.complete(token, f"a-{n}") for token in tokens[n % 3 :]))


async def test_what_happens_below_the_list_is_not_sent(node: InProcessNode) -> None:
    """But the number of users is part of what is shown."""
    top = [await node.token(f"top-{n}") for n in range(10)]
    await asyncio.gather(*(node.complete(token, f"a-{n}") for token in top for n in range(3)))
    low, lower = await node.token("low"), await node.token("lower")
    await node.complete(low, "a-1")
    async with watching(node) as screen:
        assert (await screen.next_board())["total_users"] == 11
        await node.complete(low, "a-2")
        await node.complete(lower, "a-1")
        assert (await screen.next_board())["total_users"] == 12
        await node.complete(low, "a-3")
        await node.complete(top[0], "a-4")
        assert score_of(await screen.next_board(), "top-0") == 40
        assert len(screen.boards) == 3


async def test_each_screen_shows_the_board_it_asked_for(node: InProcessNode) -> None:
    token = await node.token("ada")
    async with watching(node) as all_time, watching(node, "points-weekly") as weekly:
        assert (await all_time.next_board())["board"] == "points"
        assert (await weekly.next_board())["board"] == "points-weekly"
        await node.complete(token, "a-1")
        for screen in (all_time, weekly):
            assert score_of(await screen.next_board(), "ada") == 10
        assert weekly.boards[-1]["window"]["ends_at"] is not None


async def test_a_banned_user_vanishes_from_open_screens(node: InProcessNode, settings: Settings) -> None:
    """And is back, with the same score, when the ban is lifted."""
    for name in ("ada", "grace"):
        await node.complete(await node.token(name), "a-1")
    async with watching(node) as screen:
        assert len((await screen.next_board())["rows"]) == 2
        await operators.set_status(settings, "ada", "banned")
        shown = await screen.until(lambda board: score_of(board, "ada") is None)
        assert (rows(shown), shown["total_users"]) == ([(1, "grace", 10)], 1)
        await operators.set_status(settings, "ada", "active")
        shown = await screen.until(lambda board: score_of(board, "ada") is not None)
        assert rows(shown) == [(1, "ada", 10), (2, "grace", 10)]


async def test_a_snapshot_restarts_movement_on_open_screens(node: InProcessNode, settings: Settings) -> None:
    ada, grace = await node.token("ada"), await node.token("grace")
    await node.complete(ada, "a-1")
    await node.complete(grace, "a-1")
    chores = Background(settings, node.parts)

    def movement(board: dict[str, Any]) -> dict[str, int | None]:
        return {row["username"]: row["movement"] for row in board["rows"]}

    async with watching(node) as screen:
        assert movement(await screen.next_board()) == {"ada": None, "grace": None}
        await chores._take_snapshots()
        assert movement(await screen.next_board()) == {"ada": 0, "grace": 0}
        await node.complete(grace, "a-2")
        assert movement(await screen.next_board()) == {"grace": 1, "ada": -1}
        await chores._take_snapshots()
        assert movement(await screen.next_board()) == {"grace": 0, "ada": 0}


# -- shaking hands


async def test_an_unknown_board_is_said_to_be_unknown(node: InProcessNode) -> None:
    """And the socket stays open for others."""
    async with open_screen(node) as screen:
        refusal = await screen.subscribe("board:nowhere")
        assert (refusal["type"], refusal["code"], refusal["channel"]) == ("error", "board_unknown", "board:nowhere")
        assert refusal["detail"] == (await node.get("/api/boards/nowhere"))[1]["detail"]
        assert "Boards: points" in refusal["detail"]
        assert (await screen.subscribe("board:points"))["type"] == "subscribed"


async def test_a_plain_request_is_told_to_upgrade(node: InProcessNode) -> None:
    async with node.http.get(f"{node.url}/api/live") as reply:
        assert (reply.status, reply.headers["Upgrade"]) == (426, "websocket")
        assert (await reply.json(content_type=None))["code"] == "upgrade_required"


@pytest.mark.parametrize(
    "broken",
    [
        HANDSHAKE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        HANDSHAKE.replace(b"Version: 13", b"Version: 99"),
        HANDSHAKE.replace(b"Connection: Upgrade\r\n", b""),
    ],
    ids=["no key", "other version", "no upgrade"],
)
async def test_half_a_handshake_is_refused(node: InProcessNode, broken: bytes) -> None:
    """And holds no seat."""
    reply = await exchange(node.url, broken)
    assert (reply.status, reply.json()["code"]) == (426, "upgrade_required")
    assert node.services.hub.connection_limits.acquired == 0


async def test_compression_is_not_negotiated(node: InProcessNode) -> None:
    async with watching(node, compression="deflate") as screen:
        assert "Sec-WebSocket-Extensions" in screen.connection.request.headers
        assert "Sec-WebSocket-Extensions" not in screen.connection.response.headers


@pytest.mark.parametrize("limit", ["sockets_per_address", "sockets"])
async def test_more_sockets_than_allowed_are_refused_before_the_handshake(settings: Settings, limit: str) -> None:
    """503 and when to try again; a closed socket makes room."""
    limits: dict[str, Any] = {limit: 2}
    async with running_node(dataclasses.replace(settings, **limits)) as node:
        async with watching(node) as first, watching(node):
            await first.next_board()
            with pytest.raises(InvalidStatus) as refused:
                async with watching(node):
                    pass
            reply = refused.value.response
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
            assert b'"code":"too_many_sockets"' in reply.body
        await eventually(lambda: held(node), NOTHING.__eq__)
        async with watching(node) as screen:
            await screen.next_board()


# -- the end of a socket


async def test_a_message_beyond_the_limit_is_not_even_read(node: InProcessNode) -> None:
    async with watching(node) as screen:
        await screen.next_board()
        await screen.connection.send("x" * (protocol.MAX_INCOMING + 1))
        assert await screen.close_code() == CloseCode.MESSAGE_TOO_BIG


async def test_pings_are_answered_amid_frames(node: InProcessNode) -> None:
    """The server library's frames and the hub's never mix: whole frames, in any order."""
    tokens = await asyncio.gather(*(node.token(f"user-{n}") for n in range(3)))
    async with watching(node) as screen:
        burst = asyncio.create_task(_burst(node, tokens))
        for _ in range(protocol.FRAME_BURST // 2):
            async with asyncio.timeout(15):
                await (await screen.connection.ping())
        await burst
        told = await scoreboard(node)
        await screen.until(lambda board: board["seq"] == told["seq"])


async def test_a_client_that_is_gone_is_forgotten(node: InProcessNode) -> None:
    """Closed in order or torn off: no socket, seat or channel is left behind."""
    async with several_watching(node, 6) as screens:
        for screen in screens:
            await screen.next_board()
        for screen in screens[::2]:
            await screen.connection.close()
        for screen in screens[1::2]:
            screen.connection.transport.abort()
        await eventually(lambda: held(node), NOTHING.__eq__)


async def test_a_node_that_stops_says_so(node: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """4000 to every screen, and when to come back; one that does not answer holds up nothing."""
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.2)
    async with several_watching(node, 3) as screens, stalled(node):
        for screen in screens:
            await screen.next_board()
        await eventually(lambda: held(node), lambda held: held[0] == 4)
        node.stop.set()
        assert {await screen.close_code() for screen in screens} == {protocol.Close.DRAINING}
        assert all(screen.frames[-1]["type"] == "drain" and screen.frames[-1]["retry_ms"] > 0 for screen in screens)


async def test_a_stalled_reader_delays_no_one_and_is_closed(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty screens and a reader who reads nothing: the fifty see every state they should, the one is cut."""
    monkeypatch.setattr(keepalive, "SLOW_SECONDS", 0.5)
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.2)
    tokens = await asyncio.gather(*(node.token(f"user-{n}" + "x" * 24) for n in range(10)))
    before = closed_with(protocol.Close.SLOW)
    async with several_watching(node, 50) as screens, stalled(node), contextlib.AsyncExitStack() as stack:
        await eventually(lambda: held(node), lambda held: held[0] == 51)
        followers = [asyncio.create_task(_follow(screen)) for screen in screens]
        stack.callback(lambda: [follower.cancel() for follower in followers])
        memory = _memory()
        await _until_cut(node, tokens, before)
        assert _memory() - memory < 16 * 2**20
        told = await scoreboard(node)
        async with asyncio.timeout(15):
            await asyncio.gather(*(_reaches(screen, told["seq"]) for screen in screens))
        assert {tuple(rows(screen.boards[-1])) for screen in screens} == {tuple(rows(told))}


async def _until_cut(node: InProcessNode, tokens: list[str], before: float) -> None:
    async with asyncio.timeout(60):
        n = 0
        while closed_with(protocol.Close.SLOW) == before:
            n += 1
            await asyncio.gather(*(node.complete(token, f"a-{n}") for token in tokens))


async def _follow(screen: Screen) -> None:
    while True:
        await screen.next_board()


async def _reaches(screen: Screen, seq: int) -> None:
    await eventually(lambda: _last_seq(screen), lambda last: last == seq, within=15)


async def _last_seq(screen: Screen) -> int:
    return screen.boards[-1]["seq"] if screen.boards else 0


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
