"""Promises of the hub about time: when a frame is sent, to whom, and who is closed. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.live.virtual_time import in_virtual_time
from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from laurels.domain.errors import Code, LaurelsError
from laurels.live import hub as live_hub
from laurels.live import protocol
from laurels.live.hub import Hub
from laurels.ranking.scoreboards import ReadyBoard

PER_SECOND = 10
INTERVAL = 1 / PER_SECOND
SOON = 0.001


class Boards:
    """What the hub reads: `seq` and `shown` of every board, as the test sets them."""

    def __init__(self) -> None:
        self.seq = 1
        self.shown: bytes | None = None
        self.ends_at: datetime | None = None
        self.failure: LaurelsError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads = 0

    async def read(self, slug: str) -> ReadyBoard:
        self.reads += 1
        seq = self.seq
        if slug == "stuck" or not self.gate.is_set():
            await self.gate.wait()
        if self.failure:
            raise self.failure
        body = json.dumps({"board": slug, "seq": seq}).encode()
        shown = str(seq).encode() if self.shown is None else self.shown
        return ReadyBoard(body, shown, "", seq, (1, seq, 1), self.ends_at)


class Pipe(asyncio.Transport):
    """A transport that remembers when it was written what. `stall()` is a reader who stops reading."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN)
        self.frames: list[tuple[float, dict]] = []
        self.close: Close | None = None
        self.aborted_at: float | None = None
        self.stalled = False

    def write(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._parser.receive_data(data)
        for frame in self._parser.events_received():
            assert self.close is None, "a frame after the close frame"
            if frame.opcode is Opcode.CLOSE:
                self.close = Close.parse(frame.data)
            else:
                self.frames.append((now, json.loads(frame.data)))

    def get_write_buffer_size(self) -> int:
        return 1 if self.stalled else 0

    def is_closing(self) -> bool:
        return self.aborted_at is not None

    def abort(self) -> None:
        self.aborted_at = asyncio.get_running_loop().time()

    @property
    def seqs(self) -> list[int]:
        return [message["seq"] for _, message in self.frames if "seq" in message]

    @property
    def times(self) -> list[float]:
        return [at for at, message in self.frames if "seq" in message]


class Stage:
    """A running hub, the boards behind it, and its viewers' pipes."""

    def __init__(self) -> None:
        self.boards = Boards()
        self.hub = Hub(self.boards.read, frames_per_second=PER_SECOND, per_address=3, limit=5)

    def join(self, board: str = "points") -> Pipe:
        pipe = Pipe()
        pipe.viewer = self.hub.join(pipe, board)
        return pipe

    async def idle(self, board: str = "points") -> Pipe:
        """A viewer who has its first frame, on a board that may be sent again at once."""
        pipe = self.join(board)
        await asyncio.sleep(1)
        assert pipe.seqs == [self.boards.seq]
        return pipe

    def move(self, board: str = "points") -> int:
        self.boards.seq += 1
        self.hub.refresh(board)
        return self.boards.seq


@contextlib.asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.hub.run())
        await asyncio.sleep(0)
        yield stage
        stage.hub.close()
        await running


def now() -> float:
    return asyncio.get_running_loop().time()


# -- when a frame is sent


@in_virtual_time
async def test_the_first_to_watch_gets_the_board_at_once() -> None:
    async with a_stage() as stage:
        pipe = stage.join()
        await asyncio.sleep(SOON)
        assert (pipe.seqs, pipe.times) == ([1], [0.0])


@in_virtual_time
async def test_a_move_after_a_rest_is_sent_at_once() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        moved_at = now()
        seq = stage.move()
        await asyncio.sleep(SOON)
        assert (pipe.seqs[-1], pipe.times[-1]) == (seq, moved_at)


@in_virtual_time
async def test_many_moves_make_no_more_frames_than_allowed_and_the_last_one_is_shown() -> None:
    """A thousand moves in a second: at most one frame per interval, in order, ending with the last state."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        for _ in range(1000):
            stage.move()
            await asyncio.sleep(0.001)
        await asyncio.sleep(INTERVAL)
        gaps = [after - before for before, after in zip(pipe.times, pipe.times[1:], strict=False)]
        assert min(gaps) >= INTERVAL - 1e-9
        assert PER_SECOND - 1 <= len(pipe.seqs[1:]) <= PER_SECOND + 1
        assert pipe.seqs == sorted(set(pipe.seqs))
        assert pipe.seqs[-1] == stage.boards.seq


@in_virtual_time
async def test_a_move_that_changes_nothing_people_see_is_not_sent() -> None:
    """Not even after somebody else joined."""
    async with a_stage() as stage:
        stage.boards.shown = b"the same"
        pipe = await stage.idle()
        stage.move()
        await asyncio.sleep(1)
        other = stage.join()
        stage.move()
        await asyncio.sleep(1)
        assert pipe.seqs == [1]
        assert other.seqs == [2]


@in_virtual_time
async def test_what_moves_while_the_board_is_read_is_read_again() -> None:
    """Names may have to be fetched for a board that moves on meanwhile."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.gate.clear()
        seen = stage.move()
        await asyncio.sleep(SOON)
        last = stage.move()
        stage.boards.gate.set()
        await asyncio.sleep(1)
        assert pipe.seqs == [1, seen, last]


@in_virtual_time
async def test_who_joins_while_the_board_is_read_sees_nothing_twice_or_backwards() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.gate.clear()
        stage.move()
        await asyncio.sleep(SOON)
        late = stage.join()
        stage.move()
        stage.boards.gate.set()
        await asyncio.sleep(1)
        assert pipe.seqs == late.seqs == [1, 2, 3]


@in_virtual_time
async def test_a_window_that_ends_is_replaced_without_anybody_moving() -> None:
    async with a_stage() as stage:
        stage.boards.ends_at = datetime.now(UTC) + timedelta(seconds=10)
        pipe = await stage.idle()
        stage.boards.seq, stage.boards.ends_at = 2, None
        await asyncio.sleep(8)
        assert pipe.seqs == [1]
        await asyncio.sleep(3)
        assert pipe.seqs == [1, 2]


@in_virtual_time
async def test_a_change_nobody_told_of_shows_with_the_heartbeat() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.seq += 1
        await asyncio.sleep(protocol.HEARTBEAT)
        assert [message.get("type") for _, message in pipe.frames] == ["board", "heartbeat", "board"]
        assert pipe.seqs == [1, 2]


# -- when the board can't be read


@in_virtual_time
async def test_a_board_that_could_not_be_read_is_tried_again() -> None:
    """The database is away: who watches keeps what is there, and gets the newest when it is back."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.failure = LaurelsError(Code.DATABASE_UNAVAILABLE, "away")
        stage.move()
        newcomer = stage.join()
        await asyncio.sleep(10)
        reads = stage.boards.reads
        assert pipe.seqs == newcomer.seqs == [1]
        assert reads <= 2 + 10 / live_hub.READ_AGAIN, "it was asked all the time"
        stage.boards.failure = None
        await asyncio.sleep(live_hub.READ_AGAIN + SOON)
        assert pipe.seqs == newcomer.seqs == [1, 2]


@in_virtual_time
async def test_a_board_that_hangs_delays_no_other() -> None:
    async with a_stage() as stage:
        stage.boards.gate.clear()
        stuck = stage.join("stuck")
        await asyncio.sleep(SOON)
        stage.boards.gate = _open_for_others(stage.boards)
        pipe = stage.join("points")
        await asyncio.sleep(SOON)
        assert (stuck.seqs, pipe.seqs) == ([], [1])


def _open_for_others(boards: Boards) -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@in_virtual_time
async def test_viewers_of_a_board_that_is_gone_are_told() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.failure = LaurelsError(Code.BOARD_UNKNOWN, "gone")
        stage.move()
        await asyncio.sleep(SOON)
        assert pipe.close == Close(4404, "no such board")


# -- those who don't read


@in_virtual_time
async def test_a_reader_who_stalls_gets_only_the_newest_when_it_reads_on() -> None:
    """And delays nobody meanwhile."""
    async with a_stage() as stage:
        slow, quick = await stage.idle(), stage.join()
        slow.stalled = True
        for _ in range(20):
            stage.move()
            await asyncio.sleep(INTERVAL)
        assert slow.seqs == [1]
        assert quick.seqs == list(range(1, 22))
        slow.stalled = False
        await asyncio.sleep(live_hub.CATCH_UP + SOON)
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
        await asyncio.sleep(protocol.SLOW_SECONDS + 2 * live_hub.CATCH_UP)
        assert pipe.close == Close(4008, "read too slowly")
        assert pipe.aborted_at is None
        pipe.stalled = False  # it reads on after all: the last words were the last
        stage.move()
        await asyncio.sleep(protocol.CLOSE_GRACE)
        assert pipe.seqs == [1]
        assert pipe.aborted_at is not None


@in_virtual_time
async def test_nothing_follows_a_close_frame() -> None:
    """Nor is anybody dismissed twice."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.hub.dismiss(pipe.viewer, protocol.NOTHING_TO_SAY)
        stage.hub.dismiss(pipe.viewer, protocol.SLOW)
        stage.move()
        await asyncio.sleep(SOON)
        assert (pipe.seqs, pipe.close.code) == ([1], 1008)


@in_virtual_time
async def test_a_reader_who_stalls_on_a_quiet_board_is_found_by_the_heartbeat() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.stalled = True
        await asyncio.sleep(protocol.HEARTBEAT + protocol.SLOW_SECONDS + 1)
        assert pipe.close == Close(4008, "read too slowly")


@in_virtual_time
async def test_a_viewer_who_leaves_in_the_middle_of_a_broadcast_is_no_trouble() -> None:
    """Nor one who joins: broadcasts yield between slices."""
    async with a_stage() as stage:
        pipes = [stage.join() for _ in range(3 * live_hub.SLICE)]
        await asyncio.sleep(1)
        joined: list[Pipe] = []

        def shuffle() -> None:
            for pipe in pipes[::2]:
                pipe.abort()
                stage.hub.leave(pipe.viewer)
            joined.append(stage.join())

        stage.move()
        asyncio.get_running_loop().call_soon(shuffle)
        await asyncio.sleep(1)
        assert all(pipe.seqs == [1, 2] for pipe in pipes[1::2])
        assert joined[0].seqs[-1] == 2


# -- coming and going


@in_virtual_time
async def test_a_board_that_nobody_watches_costs_nothing() -> None:
    """No reads, and nothing kept for the names that clients make up."""
    async with a_stage() as stage:
        pipes = [stage.join(f"made-up-{n}") for n in range(100)]
        await asyncio.sleep(1)
        for pipe in pipes:
            stage.hub.leave(pipe.viewer)
            stage.hub.leave(pipe.viewer)
        await asyncio.sleep(live_hub.READ_AGAIN + INTERVAL)
        assert stage.hub._channels == {}
        reads = stage.boards.reads
        stage.move("made-up-1")
        await asyncio.sleep(protocol.HEARTBEAT)
        assert stage.boards.reads == reads


@in_virtual_time
async def test_who_comes_back_at_once_gets_the_board_as_it_stands() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.hub.leave(pipe.viewer)
        stage.move()
        again = stage.join()
        await asyncio.sleep(1)
        assert again.seqs[-1] == 2
        assert again.seqs == sorted(again.seqs)


@in_virtual_time
async def test_closing_sends_everybody_away_and_lets_nobody_in() -> None:
    async with a_stage() as stage:
        stage.boards.gate.clear()
        waiting = stage.join("points")
        stage.boards.gate.set()
        pipe = await stage.idle("points-weekly")
        stage.hub.close()
        late = stage.join()
        stage.move()
        await asyncio.sleep(1)
        assert {p.close.code for p in (waiting, pipe, late)} == {1001}
        assert pipe.aborted_at is None
        with pytest.raises(LaurelsError, match="too_many_sockets"), stage.hub.seat("somewhere"):
            pass
        await asyncio.sleep(protocol.CLOSE_GRACE)
        assert pipe.aborted_at is not None, "who does not answer would hold up the stop"


@in_virtual_time
async def test_seats_are_counted_before_the_handshake() -> None:
    """So that handshakes at the same time can't pass a limit together."""
    async with a_stage() as stage:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(stage.hub.seat("here"))
            with pytest.raises(LaurelsError, match="One address may hold 3"):
                stack.enter_context(stage.hub.seat("here"))
            for _ in range(2):
                stack.enter_context(stage.hub.seat("there"))
            with pytest.raises(LaurelsError, match="This node holds all"):
                stack.enter_context(stage.hub.seat("elsewhere"))
        with stage.hub.seat("here"):
            pass
        assert not stage.hub._addresses
