"""Coming to the hub and going from it."""

from __future__ import annotations

import asyncio

import pytest
from tests.live.stage import INTERVAL, SOON, a_stage, now
from tests.live.virtual_time import in_virtual_time

from laurels.domain.errors import Code, LaurelsError
from laurels.live import hub as live_hub
from laurels.live import topic as live_audience


@in_virtual_time
async def test_a_board_that_no_one_watches_costs_nothing() -> None:
    """No reads; its history is kept for a while, for those who come back."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.abort()
        reads = stage.boards.reads
        stage.move()
        await asyncio.sleep(live_audience.HISTORY_SECONDS - 1)
        assert len(stage.hub._topics) == 1
        await asyncio.sleep(3)
        assert stage.hub._topics == {}
        assert stage.boards.reads <= reads + 1


@in_virtual_time
async def test_nothing_is_kept_for_names_that_clients_make_up() -> None:
    async with a_stage() as stage:
        pipes = [stage.join(f"made-up-{n}") for n in range(100)]
        assert {pipe.connection.told for pipe in pipes} == {Code.BOARD_UNKNOWN}
        assert stage.hub._topics == {}


@in_virtual_time
async def test_who_comes_back_gets_nothing_a_delta_or_the_whole() -> None:
    """Also when no one watched meanwhile."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        version = pipe.of_type("board")[0][1]["version"]
        pipe.abort()
        again = stage.join(since=version)
        await asyncio.sleep(1)
        assert [(m["type"], m.get("resumed")) for _, m in again.frames] == [("subscribed", "current")]
        again.abort()
        stage.move()
        late, stranger = stage.join(since=version), stage.join(since="from another life")
        await asyncio.sleep(1)
        assert [m["type"] for _, m in late.frames] == ["subscribed", "delta"]
        assert late.frames[1][1]["base"] == version
        assert [m["type"] for _, m in stranger.frames] == ["subscribed", "board"]


@in_virtual_time
async def test_who_comes_from_a_node_that_is_ahead_is_shown_nothing_older() -> None:
    """This node was not told yet; a version that it never showed is answered by a read that begins after."""
    async with a_stage() as stage:
        await stage.idle()
        stage.boards.seq = 8
        stage.boards.gate.clear()
        stage.hub.refresh("points")
        await asyncio.sleep(SOON)  # a read is in flight, of seq 8
        stage.boards.seq = 9
        comer = stage.join(since="seen elsewhere at seq 9")
        stage.boards.gate.set()
        await asyncio.sleep(2 * INTERVAL)
        assert comer.seqs == [9]


@in_virtual_time
async def test_closing_sends_everybody_away_over_a_while_and_lets_no_one_in() -> None:
    async with a_stage() as stage:
        pipes = [await stage.idle() for _ in range(20)]
        began = now()
        stage.hub.close()
        await stage.hub.drained()
        assert {pipe.closed_with.code for pipe in pipes} == {4000}
        drains = [pipe.of_type("drain")[0] for pipe in pipes]
        assert max(at for at, _ in drains) - began == pytest.approx(19 * live_hub.DRAIN_PACE)
        assert len({message["retry_ms"] for _, message in drains}) > 10
        assert all(pipe.aborted_at is not None for pipe in pipes), "who does not answer would hold up the stop"
        with pytest.raises(LaurelsError, match="too_many_sockets"):
            stage.hub.connection_limits.acquire("somewhere")
