"""A client that does not read gets the newest when it reads on, delays no one, and is closed in the end."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from tests.live.stage import INTERVAL, SOON, Pipe, a_stage, now
from tests.live.virtual_time import in_virtual_time
from websockets.frames import Close

from laurels.live import client_connection, keepalive, protocol


@in_virtual_time
async def test_a_reader_who_stalls_gets_only_the_newest_when_it_reads_on() -> None:
    """And delays no one meanwhile."""
    async with a_stage() as stage:
        slow, quick = await stage.idle(), stage.join()
        slow.stalled = True
        for _ in range(20):
            stage.move()
            await asyncio.sleep(INTERVAL)
        assert slow.seqs == [1]
        assert quick.seqs == list(range(1, 22))
        slow.stalled = False
        await asyncio.sleep(SOON)
        assert slow.seqs == [1, 21]
        seq = stage.move()
        await asyncio.sleep(SOON)
        assert slow.seqs[-1] == seq


@in_virtual_time
async def test_a_reader_who_stays_behind_is_closed_with_4008_and_then_cut() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.stalled = True
        stage.move()
        await asyncio.sleep(keepalive.SLOW_SECONDS + 2 * keepalive.SLOW_CHECK_SECONDS)
        assert pipe.closed_with == Close(4008, "read too slowly")
        assert pipe.aborted_at is None
        pipe.stalled = False  # it reads on after all: the last words were the last
        stage.move()
        await asyncio.sleep(client_connection.CLOSE_GRACE)
        assert pipe.seqs == [1]
        assert pipe.aborted_at is not None


@in_virtual_time
async def test_nothing_follows_a_close_frame() -> None:
    """Nor is anybody dismissed twice."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.connection.close(protocol.Close.NOT_ALLOWED)
        pipe.connection.close(protocol.Close.SLOW)
        stage.move()
        await asyncio.sleep(SOON)
        assert (pipe.seqs, pipe.closed_with.code) == ([1], 4403)


@in_virtual_time
async def test_a_reader_who_stalls_on_a_quiet_board_is_found_by_the_ping() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.chokes = True
        await asyncio.sleep(keepalive.TICK_SECONDS * keepalive.SLOTS + keepalive.SLOW_SECONDS + 1)
        assert pipe.closed_with == Close(4008, "read too slowly")


@in_virtual_time
async def test_a_reader_who_stalls_is_not_read_from() -> None:
    """So that it can't make us keep ever more answers; it is when it reads on."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.stalled = True
        stage.move()
        await asyncio.sleep(SOON)
        assert not pipe.reads
        pipe.stalled = False
        assert pipe.reads


@in_virtual_time
async def test_half_open_connections_are_found_within_30_seconds() -> None:
    async with a_stage() as stage:
        gone, here = [stage.join() for _ in range(5)], [stage.join() for _ in range(5)]
        for pipe in gone:
            pipe.answers_pings = False
        at = now()
        await asyncio.sleep(60)
        assert all(pipe.aborted_at is not None and pipe.aborted_at - at <= 30 for pipe in gone)
        assert all(pipe.aborted_at is None for pipe in here)


@in_virtual_time
async def test_heartbeats_come_every_25_seconds() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        await asyncio.sleep(100)
        times = [at for at, _ in pipe.of_type("heartbeat")]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert gaps == pytest.approx([25.0] * 3)


@in_virtual_time
async def test_a_viewer_who_leaves_in_the_middle_of_a_broadcast_is_no_trouble() -> None:
    """Nor one who joins: broadcasts yield between slices."""
    async with a_stage() as stage:
        pipes = [stage.join() for _ in range(3 * client_connection.SLICE)]
        await asyncio.sleep(1)
        joined: list[Pipe] = []

        def shuffle() -> None:
            for pipe in pipes[::2]:
                pipe.abort()
            joined.append(stage.join())

        stage.move()
        asyncio.get_running_loop().call_soon(shuffle)
        await asyncio.sleep(1)
        assert all(pipe.seqs == [1, 2] for pipe in pipes[1::2])
        assert joined[0].seqs[-1] == 2
