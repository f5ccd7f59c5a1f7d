"""One's own places, told when others moved them; the banned are sent away, the shadowed see themselves."""

from __future__ import annotations

import asyncio

from tests.live.stage import SLUGS, SOON, Pipe, a_stage
from tests.live.virtual_time import in_virtual_time

from laurels.live import hub as live_hub
from laurels.live.session import StartSubscription


@in_virtual_time
async def test_me_is_told_when_others_moved_me_by_one_call_a_second() -> None:
    async with a_stage() as stage:
        stage.boards.ranks = {1: 1, 2: 2}
        one, two = stage.follow_me(1), stage.follow_me(2)
        await asyncio.sleep(1.5)
        whole = [message for _, message in one.of_type("me")]
        assert [place["board"] for place in whole[0]["boards"]] == list(SLUGS)
        stage.boards.asked.clear()
        stage.boards.ranks = {1: 2, 2: 1}
        for _ in range(50):
            stage.move("points")
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert stage.boards.asked == [("points", [1, 2])]
        for pipe, rank in ((one, 2), (two, 1)):
            assert [(b["board"], b["rank"]) for b in pipe.of_type("me")[-1][1]["boards"]] == [("points", rank)]


@in_virtual_time
async def test_me_is_silent_while_nothing_of_mine_changes() -> None:
    async with a_stage() as stage:
        stage.boards.ranks = {1: 1}
        pipe = stage.follow_me(1)
        await asyncio.sleep(1)
        stage.move("points")
        await asyncio.sleep(30)
        assert len(pipe.of_type("me")) == 1


@in_virtual_time
async def test_the_banned_are_sent_away() -> None:
    async with a_stage() as stage:
        one, two = stage.follow_me(1), stage.follow_me(2)
        await asyncio.sleep(1)
        stage.boards.banned = {1}
        await asyncio.sleep(live_hub.SANCTION_SECONDS + SOON)
        assert (one.closed_with.code, two.closed_with) == (4403, None)


@in_virtual_time
async def test_the_shadowed_see_themselves_and_no_one_else_does() -> None:
    """From a second after they are shadowed on, without a word said about it; and no more when it is lifted."""

    def first(pipe: Pipe) -> str:
        return pipe.of_type("board")[-1][1]["rows"][0]["username"]

    async with a_stage() as stage:
        other, mine = stage.join(), stage.connect(7)
        stage.hub.subscribe(mine.connection, StartSubscription("board:points", 10, None, None, confirm=True))
        await asyncio.sleep(1)
        for shadowed, seen in (({7}, "user-7"), (set(), "player-01")):
            stage.boards.shadowed = shadowed
            await asyncio.sleep(live_hub.SANCTION_SECONDS + 1)
            assert (first(mine), first(other)) == (seen, "player-01")
        assert [m["type"] for _, m in mine.frames] == ["subscribed", "board", "board", "board"]
