"""A running hub on a stage: boards that a test moves, and viewers whose pipes remember when they were written what."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from laurels.domain.errors import LaurelsError
from laurels.live import framing, protocol
from laurels.live.client_connection import ClientConnection
from laurels.live.connection_limits import ConnectionLimits
from laurels.live.hub import BoardSources, Hub
from laurels.live.session import StartSubscription
from laurels.ranking.index import Place, Position
from laurels.ranking.scoreboards import PlacesOnBoard, ReadyBoard, Scoreboard, ScoreRow, WindowSpan
from laurels.ranking.view import PUBLIC, View

PER_SECOND = 10
INTERVAL = 1 / PER_SECOND
SOON = 0.001
SLUGS = ("points", "points-weekly", "stuck")


class Boards:
    """The boards that the hub reads: `seq` and `shown` of each, as the test sets them."""

    def __init__(self) -> None:
        self.seq = 1
        self.shown: bytes | None = None
        self.ends_at: datetime | None = None
        self.failure: LaurelsError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.takes = 0.0
        """Seconds that each read takes."""
        self.reads = 0
        self.ranks: dict[int, int] = {}
        self.asked: list[tuple[str, list[int]]] = []
        self.banned: set[int] = set()
        self.shadowed: set[int] = set()

    async def read(self, slug: str, size: int, view: View = PUBLIC) -> ReadyBoard:
        ready = await self._read(slug, size)
        user = view.shadowed_user
        if user is None:
            return ready
        rows = [ScoreRow(1, f"user-{user}", 500, None), *ready.board.rows[: size - 1]]
        board = msgspec.structs.replace(ready.board, rows=rows)
        return dataclasses.replace(ready, board=board, body=protocol.encode(board), shown=ready.shown + b"as %d" % user)

    async def _read(self, slug: str, size: int) -> ReadyBoard:
        self.reads += 1
        seq = self.seq
        if slug == "stuck" or not self.gate.is_set():
            await self.gate.wait()
        if self.takes:
            await asyncio.sleep(self.takes)
        if self.failure:
            raise self.failure
        rows = [ScoreRow(n, f"player-{n:02}", 100 - n, None) for n in range(1, size + 1)]
        span = WindowSpan(None, None)
        board = Scoreboard(slug, slug, "desc", "all_time", span, "e", seq, datetime.now(UTC), "exact", seq, rows)
        shown = str(seq).encode() if self.shown is None else self.shown
        return ReadyBoard(board, protocol.encode(board), shown, "", seq, (1, Position("e", 1), 1), self.ends_at)

    async def places(self, slug: str, user_ids: Sequence[int]) -> PlacesOnBoard:
        self.asked.append((slug, sorted(user_ids)))
        places = {user: Place(self.ranks[user], user, 5, 0) for user in user_ids if user in self.ranks}
        return PlacesOnBoard(slug, "e", self.seq, len(self.ranks), "exact", places)

    async def names(self, _: object) -> dict:
        return {}


class Socket(ClientConnection):
    """A viewer without a session behind it."""

    __slots__ = ("hub", "told")

    def __init__(self, hub: Hub, address: str) -> None:
        super().__init__(hub, address)
        self.hub = hub

    @staticmethod
    def encode_frame(_kind: str, _version: str, message: bytes) -> bytes:
        return framing.text_frame(message)

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        self.heard = False
        return (protocol.HEARTBEAT_FRAME if with_heartbeat else b"") + framing.PING_FRAME

    def close_bytes(self, code: int) -> bytes:
        return protocol.close_frame(code)

    def drain(self, retry_ms: int) -> None:
        self.send(framing.text_frame(protocol.encode(protocol.Drain(retry_ms=retry_ms))))
        self.close(protocol.Close.DRAINING)

    def on_channel_gone(self, channel: str, error: LaurelsError, _: int | None) -> None:
        self.hub.unsubscribe(self, channel)
        self.told = error.code


class Pipe(asyncio.Transport):
    """A transport that remembers when it was written what. `stalled`: bytes wait, the reader has stopped.

    `chokes`: the next write will not leave. `answers_pings` is off for a peer that has gone without a word.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parser = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN)
        self.frames: list[tuple[float, dict]] = []
        self.closed_with: Close | None = None
        self.aborted_at: float | None = None
        self.answers_pings = True
        self.reads = True
        self.chokes = False
        self.connection: Socket
        self._stalled = False

    @property
    def stalled(self) -> bool:
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        if stalled and self.connection.ready:
            self.connection.pause_writing()
        elif not stalled and not self.connection.ready:
            self.connection.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        now = asyncio.get_running_loop().time()
        self._parser.receive_data(bytes(data))
        for frame in self._parser.events_received():
            assert isinstance(frame, Frame)
            assert self.closed_with is None, "a frame after the close frame"
            if frame.opcode is Opcode.CLOSE:
                self.closed_with = Close.parse(frame.data)
            elif frame.opcode is Opcode.PING:
                asyncio.get_running_loop().call_later(0.1, self._pong)
            else:
                self.frames.append((now, json.loads(bytes(frame.data))))
        if self.chokes:
            self.chokes, self.stalled = False, True

    def _pong(self) -> None:
        if self.answers_pings:
            self.connection.heard = True

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
        self.connection.connection_lost(None)

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
        sources = BoardSources(
            top=self.boards.read,
            places=self.boards.places,
            names=self.boards.names,
            boards=lambda: SLUGS,
            type_ids=dict,
            blocked=lambda: self.boards.banned,
            shadowed=lambda: self.boards.shadowed,
        )
        connection_limits = ConnectionLimits(limit=1_000, per_address=1_000, per_user=2)
        self.hub = Hub(sources, connection_limits, frames_per_second=PER_SECOND, drain_seconds=1.0)

    def connect(self, user: int | None = None) -> Pipe:
        pipe = Pipe()
        pipe.connection = Socket(self.hub, "here")
        self.hub.add(pipe.connection)
        if user is not None:
            self.hub.connection_limits.acquire_user(user)
            pipe.connection.user_id, pipe.connection.username = user, f"user-{user}"
        pipe.connection.connection_made(pipe)
        return pipe

    def join(self, board: str = "points", since: str | None = None) -> Pipe:
        pipe = self.connect()
        self.hub.subscribe(pipe.connection, StartSubscription(f"board:{board}", 10, since, None, confirm=True))
        return pipe

    def follow_me(self, user: int) -> Pipe:
        pipe = self.connect(user)
        self.hub.subscribe(pipe.connection, StartSubscription("me", None, None, None, confirm=True))
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
        self.hub._personal_ranks.mark_moved(board)
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
