"""Promises to clients that speak: tokens, own places, activity, actions over the socket. Against a whole node."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from typing import Any

import pytest
from tests.live.screens import V1, open_screen, score_of, watching
from tests.support import operators
from tests.support.node import InProcessNode, running_node
from tests.support.receipts import replay_of
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from laurels.config import Settings
from laurels.live import protocol


@contextlib.asynccontextmanager
async def speaking(node: InProcessNode, token: str) -> Any:
    """A socket that has shown its token."""
    async with open_screen(node) as screen:
        assert (await screen.ask("authenticate", token=token))["type"] == "authenticated"
        yield screen


def action(identifier: str, **more: Any) -> dict[str, Any]:
    return {"action": {"action_type": "lesson", "action_identifier": identifier, **more}}


def place(frame: dict[str, Any], board: str = "points") -> tuple[int | None, int | None]:
    return next((b["rank"], b["score"]) for b in frame["boards"] if b["board"] == board)


# -- who is speaking


async def test_a_token_may_come_as_subprotocol(node: InProcessNode) -> None:
    """And is not echoed."""
    token = await node.token("ada")
    async with open_screen(node, subprotocols=[V1, Subprotocol(f"laurels.token.{token}")]) as screen:
        assert screen.connection.subprotocol == V1
        assert (await screen.of_type("authenticated"))["username"] == "ada"
        assert [frame["type"] for frame in screen.frames] == ["hello", "authenticated"]


async def test_a_bad_token_is_refused_and_the_socket_stays(node: InProcessNode) -> None:
    async with open_screen(node) as screen:
        assert (await screen.ask("authenticate", token="nonsense"))["code"] == "token_invalid"
        assert (await screen.subscribe("board:points"))["resumed"] == "snapshot"
    with pytest.raises(InvalidStatus) as refused:
        async with open_screen(node, subprotocols=[V1, Subprotocol("laurels.token.nonsense")]):
            pass
    assert refused.value.response.status_code == 401


async def test_only_unknown_subprotocols_are_refused(node: InProcessNode) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_screen(node, subprotocols=[Subprotocol("laurels.v9")]):
            pass
    assert refused.value.response.status_code == 426


async def test_who_promised_a_token_and_shows_none_is_closed(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "AUTHENTICATE_SECONDS", 0.2)
    async with open_screen(node, "?authenticate=true") as screen:
        assert await screen.close_code() == 4401


async def test_pages_of_other_origins_may_watch_but_not_authenticate(settings: Settings) -> None:
    listed = dataclasses.replace(settings, origins="https://friend.example")
    async with running_node(listed) as node:
        token = await node.token("ada")
        async with watching(node, origin=Origin("https://stranger.example")) as screen:
            assert (await screen.next_board())["board"] == "points"
            assert (await screen.ask("authenticate", token=token))["code"] == "origin_not_allowed"
            assert await screen.close_code() == 4403
        for origin in ("https://friend.example", node.url):
            async with open_screen(node, origin=Origin(origin)) as screen:
                assert (await screen.ask("authenticate", token=token))["type"] == "authenticated"


async def test_a_token_that_ends_is_asked_for_again_and_then_closes(settings: Settings) -> None:
    async with running_node(dataclasses.replace(settings, token_seconds=5)) as node:
        tokens = await node.register("ada")
        async with speaking(node, tokens["access_token"]) as screen, open_screen(node) as other:
            assert (await screen.of_type("token_expiring"))["seconds"] <= 10
            _, fresh = await node.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
            await other.ask("authenticate", token=fresh["access_token"])
            assert await screen.close_code() == 4401
            assert (await other.ask("ping"))["type"] == "pong"


async def test_a_user_holds_at_most_so_many_sockets(settings: Settings) -> None:
    async with running_node(dataclasses.replace(settings, sockets_per_user=2)) as node:
        token = await node.token("ada")
        async with speaking(node, token), speaking(node, token), open_screen(node) as third:
            assert (await third.ask("authenticate", token=token))["code"] == "too_many_sockets"
            assert await third.close_code() == 4110


async def test_a_ban_closes_the_socket(node: InProcessNode, settings: Settings) -> None:
    async with speaking(node, await node.token("ada")) as screen:
        await operators.set_status(settings, "ada", "banned")
        assert await screen.close_code() == 4403


# -- own places, activity


async def test_me_is_told_also_when_others_passed_me(node: InProcessNode) -> None:
    ada, grace = await node.token("ada"), await node.token("grace")
    await node.complete(ada, "a-1")
    async with speaking(node, ada) as screen:
        await screen.subscribe("me")
        assert place(await screen.of_type("me")) == (1, 10)
        for n in range(2):
            await node.complete(grace, f"g-{n}")
        seen = await screen.frame(lambda frame: frame["type"] == "me" and place(frame)[0] == 2)
        assert place(seen) == (2, 10)


async def test_me_needs_a_token(node: InProcessNode) -> None:
    async with open_screen(node) as screen:
        assert (await screen.subscribe("me"))["code"] == "token_missing"


async def test_activity_tells_what_is_completed(node: InProcessNode) -> None:
    ada = await node.token("ada")
    async with open_screen(node) as screen:
        await screen.subscribe("activity:points")
        await asyncio.gather(*(node.complete(ada, f"a-{n}") for n in range(15)))
        told: list[dict[str, Any]] = []
        skipped = 0
        while len(told) + skipped < 15:
            frame = await screen.of_type("activity")
            told, skipped = told + frame["completions"], skipped + frame["skipped"]
        assert len(told) + skipped == 15
        assert {(c["username"], c["action_type"], c["score_earned"]) for c in told} == {("ada", "lesson", 10)}


# -- completing


async def test_an_action_gets_the_receipt_that_http_gives(node: InProcessNode) -> None:
    """The same identifier sent again gets its replay, over either way."""
    token = await node.token("ada")
    async with speaking(node, token) as screen:
        first = await screen.ask("complete", **action("a-1"))
        assert (first["type"], first["status"]) == ("result", "awarded")
        again = await screen.ask("complete", **action("a-1"))
        assert (again["status"], again["receipt"]) == ("replayed", replay_of(first["receipt"]))
        _, over_http = await node.complete(token, "a-1")
        assert over_http == again["receipt"]


async def test_frames_that_arrive_together_each_get_their_result(node: InProcessNode) -> None:
    """Awarded, refused and wrong ones side by side; each counts once."""
    token = await node.token("ada")
    async with speaking(node, token) as screen:
        ids = [await screen.say("complete", **action(f"a-{n % 50}")) for n in range(100)]
        wrong = await screen.say("complete", action={"action_type": "lesson"})
        unknown = await screen.say("complete", action={"action_type": "nothing", "action_identifier": "x"})
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < 102:
            frame = await screen.frame(lambda frame: "id" in frame)
            assert frame["id"] not in answers
            answers[frame["id"]] = frame
        statuses = [answers[n]["status"] for n in ids]
        assert (statuses.count("awarded"), statuses.count("replayed")) == (50, 50)
        assert (answers[wrong]["type"], answers[wrong]["code"]) == ("error", "invalid_request")
        assert answers[wrong]["path"].startswith("$.action")
        assert (answers[unknown]["status"], answers[unknown]["code"]) == ("refused", "action_type_unknown")
        assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 500


async def test_the_users_rate_bounds_actions_over_sockets_too(settings: Settings) -> None:
    async with running_node(dataclasses.replace(settings, user_rate=5)) as node:
        token = await node.token("ada")
        async with speaking(node, token) as screen:
            results = [await screen.ask("complete", **action(f"a-{n}")) for n in range(8)]
            assert [r["status"] for r in results].count("awarded") == 5
            assert results[-1]["code"] == "rate_limited"
            assert results[-1]["retry_after"] > 0


async def test_without_a_token_nothing_is_completed(node: InProcessNode) -> None:
    async with open_screen(node) as screen:
        assert (await screen.ask("complete", **action("a-1")))["code"] == "token_missing"


# -- what does not fit


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hello", "invalid_json"),
        ('{"type":"nothing","id":3}', "invalid_request"),
        ('{"type":"ping","id":3,"more":1}', "invalid_request"),
        ('{"type":"ping","id":3,"id":4}', "invalid_request"),
        ('{"type":"subscribe","channel":"board:points","size":101}', "invalid_request"),
        ('{"type":"subscribe","channel":"Board:points"}', "invalid_request"),
        ('{"type":"complete","action":{}}', "invalid_request"),
    ],
)
async def test_what_is_no_frame_is_said_to_be_none(node: InProcessNode, said: str, code: str) -> None:
    """And the socket stays open."""
    async with open_screen(node) as screen:
        await screen.connection.send(said)
        assert (await screen.of_type("error"))["code"] == code
        assert (await screen.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize(("said", "code"), [(b"binary", 1003), (b"", 1003)])
async def test_binary_is_refused(node: InProcessNode, said: bytes, code: int) -> None:
    async with open_screen(node) as screen:
        await screen.connection.send(said)
        assert await screen.close_code() == code


async def test_a_flood_of_frames_is_closed(node: InProcessNode) -> None:
    async with open_screen(node) as screen:
        for _ in range(3 * protocol.FRAME_BURST):
            with contextlib.suppress(Exception):
                await screen.connection.send(json.dumps({"type": "ping"}))
        assert await screen.close_code() == 4129


async def test_a_resync_gives_the_whole(node: InProcessNode) -> None:
    async with watching(node, size=3) as screen:
        await screen.next_board()
        await screen.say("resync", channel="board:points")
        assert (await screen.next_frame())["type"] == "board"


async def test_another_size_replaces_the_first(node: InProcessNode) -> None:
    for n in range(12):
        await node.complete(await node.token(f"player-{n}"), "a-1")
    async with watching(node, size=10) as screen:
        assert len((await screen.next_board())["rows"]) == 10
        await screen.subscribe("board:points", size=25)
        assert len((await screen.next_board())["rows"]) == 12
        await screen.ask("unsubscribe", channel="board:points")
        await node.complete(await node.token("mary"), "a-1")
        await screen.ask("ping")
        assert screen.frames[-1]["type"] == "pong"
        assert len(screen.boards) == 2


async def test_a_shadowed_user_is_on_its_own_screen_alone(node: InProcessNode, settings: Settings) -> None:
    """As before it was shadowed, also for what it completes after that."""
    token = await node.token("eve")
    await node.complete(token, "a-1")
    async with speaking(node, token) as own, watching(node) as other:
        await own.say("subscribe", channel="board:points")
        await own.subscribe("me")
        assert score_of(await own.next_board(), "eve") == 10
        assert score_of(await other.next_board(), "eve") == 10
        await operators.set_status(settings, "eve", "shadowed")
        await other.until(lambda board: score_of(board, "eve") is None)
        await own.ask("complete", **action("a-2"))
        await own.until(lambda board: score_of(board, "eve") == 20)
        mine = [place(frame) for frame in own.frames if frame["type"] == "me"]
        assert all(rank == 1 for rank, _ in mine)
        await node.complete(await node.token("mary"), "a-1")
        await other.until(lambda board: score_of(board, "mary") == 10)
        assert all(score_of(board, "eve") in (10, None) for board in other.boards)
