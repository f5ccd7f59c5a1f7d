"""Promises of the hub about time: when a frame is sent, to whom, and who is closed. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.live.virtual_time import in_virtual_time
from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from laurels.domain.errors import Code, LaurelsError
from laurels.live import audience as live_audience
from laurels.live import framing, protocol, pulse
from laurels.live import hub as live_hub
from laurels.live import viewer as outgoing
from laurels.live.hub import Hub, Sources
from laurels.live.seats import Seats
from laurels.live.session import Follow
from laurels.live.viewer import Viewer
from laurels.ranking.index import Place
from laurels.ranking.scoreboards import PlacesOnBoard, ReadyBoard, Scoreboard, ScoreRow, WindowSpan

PER_SECOND = 10
INTERVAL = 1 / PER_SECOND
SOON = 0.001
SLUGS = ("points", "points-weekly", "stuck")


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
        self.ranks: dict[int, int] = {}
        self.asked: list[tuple[str, list[int]]] = []
        self.banned: set[int] = set()
        self.shadowed: set[int] = set()

    async def read(self, slug: str, size: int) -> ReadyBoard:
        self.reads += 1
        seq = self.seq
        if slug == "stuck" or not self.gate.is_set():
            await self.gate.wait()
        if self.failure:
            raise self.failure
        rows = [ScoreRow(n, f"player-{n:02}", 100 - n, None) for n in range(1, size + 1)]
        span = WindowSpan(None, None)
        board = Scoreboard(slug, slug, "desc", "all_time", span, "e", seq, datetime.now(UTC), "exact", seq, rows)
        shown = str(seq).encode() if self.shown is None else self.shown
        return ReadyBoard(board, protocol.encode(board), shown, "", seq, (1, None, 1), self.ends_at)

    async def read_as(self, user: int, slug: str, size: int) -> ReadyBoard:
        ready = await self.read(slug, size)
        rows = [ScoreRow(1, f"user-{user}", 500, None), *ready.board.rows[: size - 1]]
        board = msgspec.structs.replace(ready.board, rows=rows)
        return dataclasses.replace(ready, board=board, body=protocol.encode(board), shown=ready.shown + b"as %d" % user)

    async def places(self, slug: str, user_ids: list[int]) -> PlacesOnBoard:
        self.asked.append((slug, sorted(user_ids)))
        places = {user: Place(self.ranks[user], user, 5, 0) for user in user_ids if user in self.ranks}
        return PlacesOnBoard(slug, "e", self.seq, len(self.ranks), "exact", places)

    async def names(self, _: object) -> dict:
        return {}


class Socket(Viewer):
    """A viewer without a session behind it."""

    __slots__ = ("told",)

    @staticmethod
    def dress(_kind: str, _version: str, message: bytes) -> bytes:
        return framing.text_frame(message)

    def beat(self, *, with_heartbeat: bool) -> bytes:
        self.heard = False
        return (protocol.HEARTBEAT_FRAME if with_heartbeat else b"") + framing.PING_FRAME

    def goodbye(self, code: int) -> bytes:
        return protocol.close_frame(code)

    def drain(self, retry_ms: int) -> None:
        self.send(framing.text_frame(protocol.encode(protocol.Drain(retry_ms=retry_ms))))
        self.dismiss(protocol.Close.DRAINING)

    def dropped(self, channel: str, error: LaurelsError, _: int | None) -> None:
        self.hub.leave(self, channel)
        self.told = error.code


class Pipe(asyncio.Transport):
    """A transport that remembers when it was written what. `stalled`: bytes wait, the reader has stopped.

    `chokes`: the next write will not leave. `answers_pings` is off for a peer that has gone without a word.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parser = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN)
        self.frames: list[tuple[float, dict]] = []
        self.close: Close | None = None
        self.aborted_at: float | None = None
        self.answers_pings = True
        self.reads = True
        self.chokes = False
        self.viewer: Socket
        self._stalled = False

    @property
    def stalled(self) -> bool:
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        if stalled and self.viewer.ready:
            self.viewer.pause_writing()
        elif not stalled and not self.viewer.ready:
            self.viewer.resume_writing()

    def write(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._parser.receive_data(data)
        for frame in self._parser.events_received():
            assert self.close is None, "a frame after the close frame"
            if frame.opcode is Opcode.CLOSE:
                self.close = Close.parse(frame.data)
            elif frame.opcode is Opcode.PING:
                asyncio.get_running_loop().call_later(0.1, self._pong)
            else:
                self.frames.append((now, json.loads(frame.data)))
        if self.chokes:
            self.chokes, self.stalled = False, True

    def _pong(self) -> None:
        if self.answers_pings:
            self.viewer.heard = True

    def set_write_buffer_limits(self, high: int | None = None, _: int | None = None) -> None:
        assert high == 0

    def get_write_buffer_size(self) -> int:
        return 1 if self._stalled else 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.aborted_at is not None

    def abort(self) -> None:
        self.aborted_at = asyncio.get_running_loop().time()
        self.viewer.connection_lost(None)

    def of_type(self, *kinds: str) -> list[tuple[float, dict]]:
        return [(at, message) for at, message in self.frames if message["type"] in kinds]

    @property
    def seqs(self) -> list[int]:
        return [message["seq"] for _, message in self.of_type("board", "delta")]

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.of_type("board", "delta")]


class Stage:
    """A running hub, the boards behind it, and its viewers' pipes."""

    def __init__(self) -> None:
        self.boards = Boards()
        sources = Sources(
            top=self.boards.read,
            top_as=self.boards.read_as,
            places=self.boards.places,
            names=self.boards.names,
            boards=lambda: SLUGS,
            type_ids=dict,
            blocked=lambda: self.boards.banned,
            shadowed=lambda: self.boards.shadowed,
        )
        seats = Seats(limit=1_000, per_address=1_000, per_user=2)
        self.hub = Hub(sources, seats, frames_per_second=PER_SECOND, drain_seconds=1.0)

    def connect(self, user: int | None = None) -> Pipe:
        pipe = Pipe()
        self.hub.seats.take("here")
        pipe.viewer = Socket(self.hub, "here")
        if user is not None:
            self.hub.seats.take_user(user)
            pipe.viewer.user_id, pipe.viewer.username = user, f"user-{user}"
        pipe.viewer.connection_made(pipe)
        return pipe

    def join(self, board: str = "points", since: str | None = None) -> Pipe:
        pipe = self.connect()
        self.hub.follow(pipe.viewer, Follow(f"board:{board}", 10, since, None, announced=True))
        return pipe

    def follow_me(self, user: int) -> Pipe:
        pipe = self.connect(user)
        self.hub.follow(pipe.viewer, Follow("me", None, None, None, announced=True))
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
        self.hub._mine.moved(board)
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
async def test_a_change_nobody_told_of_shows_in_the_end() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.seq += 1
        await asyncio.sleep(live_hub.ALL_AGAIN)
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
        assert pipe.viewer.told is Code.BOARD_UNKNOWN
        assert not pipe.viewer.following
        assert stage.hub._audiences == {}


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
        await asyncio.sleep(pulse.SLOW_SECONDS + 2 * pulse.LOOK)
        assert pipe.close == Close(4008, "read too slowly")
        assert pipe.aborted_at is None
        pipe.stalled = False  # it reads on after all: the last words were the last
        stage.move()
        await asyncio.sleep(outgoing.CLOSE_GRACE)
        assert pipe.seqs == [1]
        assert pipe.aborted_at is not None


@in_virtual_time
async def test_nothing_follows_a_close_frame() -> None:
    """Nor is anybody dismissed twice."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.viewer.dismiss(protocol.Close.NOT_ALLOWED)
        pipe.viewer.dismiss(protocol.Close.SLOW)
        stage.move()
        await asyncio.sleep(SOON)
        assert (pipe.seqs, pipe.close.code) == ([1], 4403)


@in_virtual_time
async def test_a_reader_who_stalls_on_a_quiet_board_is_found_by_the_ping() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.chokes = True
        await asyncio.sleep(pulse.TICK * pulse.SLOTS + pulse.SLOW_SECONDS + 1)
        assert pipe.close == Close(4008, "read too slowly")


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
        pipes = [stage.join() for _ in range(3 * live_audience.SLICE)]
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


# -- coming and going


@in_virtual_time
async def test_a_board_that_nobody_watches_costs_nothing() -> None:
    """No reads; its history is kept for a while, for those who come back."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        pipe.abort()
        reads = stage.boards.reads
        stage.move()
        await asyncio.sleep(live_audience.LINGER - 1)
        assert len(stage.hub._audiences) == 1
        await asyncio.sleep(3)
        assert stage.hub._audiences == {}
        assert stage.boards.reads <= reads + 1


@in_virtual_time
async def test_nothing_is_kept_for_names_that_clients_make_up() -> None:
    async with a_stage() as stage:
        pipes = [stage.join(f"made-up-{n}") for n in range(100)]
        assert {pipe.viewer.told for pipe in pipes} == {Code.BOARD_UNKNOWN}
        assert stage.hub._audiences == {}


@in_virtual_time
async def test_who_comes_back_gets_nothing_a_delta_or_the_whole() -> None:
    """Also when nobody watched meanwhile."""
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
        await asyncio.sleep(SOON)  # a read is under way, of seq 8
        stage.boards.seq = 9
        comer = stage.join(since="seen elsewhere at seq 9")
        stage.boards.gate.set()
        await asyncio.sleep(2 * INTERVAL)
        assert comer.seqs == [9]


@in_virtual_time
async def test_closing_sends_everybody_away_over_a_while_and_lets_nobody_in() -> None:
    async with a_stage() as stage:
        pipes = [await stage.idle() for _ in range(20)]
        began = now()
        stage.hub.close()
        await stage.hub.drained()
        assert {pipe.close.code for pipe in pipes} == {4000}
        drains = [pipe.of_type("drain")[0] for pipe in pipes]
        assert max(at for at, _ in drains) - began == pytest.approx(19 * live_hub.DRAIN_PACE)
        assert len({message["retry_ms"] for _, message in drains}) > 10
        assert all(pipe.aborted_at is not None for pipe in pipes), "who does not answer would hold up the stop"
        with pytest.raises(LaurelsError, match="too_many_sockets"):
            stage.hub.seats.take("somewhere")


# -- one's own places


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
        assert (one.close.code, two.close) == (4403, None)


@in_virtual_time
async def test_the_shadowed_see_themselves_and_nobody_else_does() -> None:
    """From a second after they are shadowed on, without a word said about it; and no more when it is lifted."""

    def first(pipe: Pipe) -> str:
        return pipe.of_type("board")[-1][1]["rows"][0]["username"]

    async with a_stage() as stage:
        other, mine = stage.join(), stage.connect(7)
        stage.hub.follow(mine.viewer, Follow("board:points", 10, None, None, announced=True))
        await asyncio.sleep(1)
        for shadowed, seen in (({7}, "user-7"), (set(), "player-01")):
            stage.boards.shadowed = shadowed
            await asyncio.sleep(live_hub.SANCTION_SECONDS + 1)
            assert (first(mine), first(other)) == (seen, "player-01")
        assert [m["type"] for _, m in mine.frames] == ["subscribed", "board", "board", "board"]


# -- seats


def test_seats_are_counted_before_the_handshake() -> None:
    """So that handshakes at the same time can't pass a limit together."""
    seats = Seats(limit=5, per_address=3, per_user=1)
    for _ in range(3):
        seats.take("here")
    with pytest.raises(LaurelsError, match="One address may hold 3"):
        seats.take("here")
    for _ in range(2):
        seats.take("there")
    with pytest.raises(LaurelsError, match="This node holds all"):
        seats.take("elsewhere")
    seats.take_user(7)
    with pytest.raises(LaurelsError, match="One user may hold 1"):
        seats.take_user(7)
    seats.release("here")
    seats.release_user(7)
    seats.take("elsewhere")
    seats.take_user(7)
