"""Clients as they should be: whatever they don't know they ask again, under the same identifier."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp

from tests.support.server import PASSWORD

DEADLINE = 40.0
"""Seconds within which the edge must have answered or closed."""
PAUSE = 0.05
WATCH = {"type": "subscribe", "id": 1, "channel": "board:points", "size": 10}
TLS_GOODBYE = 0.3
"""aiohttp closes connections over TLS behind our back; a loop that is closed before complains."""
KINDS = ("lesson", "lesson", "lesson", "lesson", "quiz", "daily-login")
"""What players complete: without limits, with a cooldown of 2 seconds, once a day."""


@dataclass(slots=True)
class Record:
    """One player's record of one action. `receipt` once acknowledged, `refused` the code of a final refusal."""

    player: str
    kind: str
    identifier: str
    receipt: dict[str, Any] | None = None
    refused: str | None = None
    tries: int = 0


@dataclass(slots=True)
class Frame:
    """A board as it was shown. `connection` counts the viewer's own; `rows` are names with scores, best first."""

    connection: int
    epoch: str
    seq: int
    version: str
    rows: list[tuple[str, int]]


@dataclass(slots=True)
class Load:
    """Players and viewers at one address. `acknowledged` holds monotonic times."""

    url: str
    tls: ssl.SSLContext | bool
    seed: int
    records: list[Record] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    overdue: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of the request that took longest."""
    frames: dict[int, list[Frame]] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _players: list[asyncio.Task[None]] = field(default_factory=list)
    _viewers: list[asyncio.Task[None]] = field(default_factory=list)
    _http: aiohttp.ClientSession | None = None

    async def start(self, players: int, viewers: int, prefix: str) -> None:
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=0)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=DEADLINE))
        tokens = {f"{prefix}-{n}": await self._register(f"{prefix}-{n}") for n in range(players)}
        for number, (name, token) in enumerate(tokens.items()):
            dice = random.Random(f"{self.seed}-{number}")
            self._players.append(asyncio.create_task(self._play(name, token, dice)))
        for number in range(viewers):
            self.frames[number] = []
            self._viewers.append(asyncio.create_task(self._view(number)))

    async def finish_playing(self) -> None:
        """Send no new actions; retry those in flight until their outcome is known."""
        self._stopping.set()
        await asyncio.gather(*self._players)

    async def close(self) -> None:
        for task in (*self._players, *self._viewers):
            task.cancel()
        await asyncio.gather(*self._players, *self._viewers, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            await asyncio.sleep(TLS_GOODBYE)

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds without an acknowledgement between two moments."""
        inside = [since, *(moment for moment in sorted(self.acknowledged) if since <= moment <= until), until]
        return max(later - earlier for earlier, later in pairwise(inside))

    async def _register(self, name: str) -> str:
        assert self._http is not None
        body = {"username": name, "password": PASSWORD}
        async with self._http.post(f"{self.url}/api/auth/register", json=body) as reply:
            assert reply.status == 201, await reply.text()
            return str((await reply.json())["access_token"])

    async def _play(self, name: str, token: str, dice: random.Random) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            record = Record(name, dice.choice(KINDS), f"{name}-{number}")
            self.records.append(record)
            while record.receipt is None and record.refused is None:
                await self._try(record, token)
                await asyncio.sleep(PAUSE * dice.random() * 2)

    async def _try(self, record: Record, token: str) -> None:
        assert self._http is not None
        record.tries += 1
        body = {"action_type": record.kind, "action_identifier": record.identifier}
        headers = {"Authorization": f"Bearer {token}"}
        began = time.monotonic()
        try:
            async with self._http.post(f"{self.url}/api/actions/complete", json=body, headers=headers) as reply:
                answer = await reply.json(content_type=None)
                self._note(record, reply.status, answer)
        except TimeoutError:
            self.overdue.append(record.identifier)
        except (aiohttp.ClientError, ConnectionError, json.JSONDecodeError) as error:
            self._count(type(error).__name__)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _note(self, record: Record, status: int, answer: dict[str, Any]) -> None:
        if status in (200, 201):
            record.receipt = answer
            self.acknowledged.append(time.monotonic())
        elif status == 422:
            record.refused = answer["code"]
        else:
            self._count(f"{status} {answer.get('code')}")

    def _count(self, failure: str) -> None:
        self.failures[failure] = self.failures.get(failure, 0) + 1

    async def _view(self, number: int) -> None:
        """Watch the board until cancelled, on any node that accepts."""
        assert self._http is not None
        connection = 0
        goodbye = aiohttp.ClientWSTimeout(ws_close=1)
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                async with self._http.ws_connect(f"{self.url}/api/live", timeout=goodbye) as socket:
                    connection += 1
                    await socket.send_json(WATCH | self._since(number))
                    async for message in socket:
                        self._see(number, connection, json.loads(message.data))
            await asyncio.sleep(0.2)

    def _since(self, number: int) -> dict[str, str]:
        """Return the last version that the viewer has seen, on any node."""
        seen = self.frames[number]
        return {"since": seen[-1].version} if seen else {}

    def _see(self, number: int, connection: int, frame: dict[str, Any]) -> None:
        """A whole board, or what changed since the last one."""
        seen = self.frames[number]
        if frame.get("type") == "board":
            rows = [_row(row) for row in frame["rows"]]
            seen.append(Frame(connection, frame.get("epoch", ""), frame["seq"], frame["version"], rows))
        elif frame.get("type") == "delta":
            rows = seen[-1].rows[: frame["length"]]
            rows += [("", 0)] * (frame["length"] - len(rows))
            for position, row in frame["rows"]:
                rows[position] = _row(row)
            seen.append(Frame(connection, seen[-1].epoch, frame["seq"], frame["version"], rows))


def _row(row: dict[str, Any]) -> tuple[str, int]:
    return row["username"], row["score"]
