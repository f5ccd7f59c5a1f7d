"""A load on several nodes that keeps the answers it got, and the evidence for the checker."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
from tests.live.screens import watching
from tests.support.checker import Evidence, Row, Standing, Told, violations
from tests.support.node import PASSWORD
from websockets.exceptions import WebSocketException

BOUND = 2.0
SLACK = 2.0
"""The promise is BOUND; the machine that tests run on is busy with more than the service."""


@dataclass(slots=True)
class Player:
    name: str
    token: str
    sent: list[dict[str, str]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    unsettled: dict[str, dict[str, str]] = field(default_factory=dict)


class Load:
    """Players who complete actions on `urls` at random. `wrongs`: what no fault excuses; `statuses`: how often what."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], seed: int) -> None:
        self._http = http
        self.urls = list(urls)
        self.random = random.Random(seed)
        self.players: list[Player] = []
        self.wrongs: list[str] = []
        self.statuses: Counter[int] = Counter()

    async def register(self, count: int, prefix: str = "player") -> None:
        for number in range(count):
            body = {"username": f"{prefix}-{number}", "password": PASSWORD}
            async with self._http.post(f"{self.urls[0]}/api/auth/register", json=body) as reply:
                assert reply.status == 201, await reply.text()
                self.players.append(Player(body["username"], (await reply.json())["access_token"]))

    async def play(self, actions: int) -> None:
        """Every player completes so many; each tenth is sent to all nodes at once, under the same identifier."""
        await asyncio.gather(*(self._play(player, actions) for player in self.players))

    async def _play(self, player: Player, actions: int) -> None:
        for _ in range(actions):
            number = len(player.sent)
            body = {"action_type": "lesson", "action_identifier": f"a-{number}"}
            player.sent.append(body)
            everywhere = number % 10 == 9
            urls = self.urls if everywhere else [self.random.choice(self.urls)]
            await asyncio.gather(*(self.send(player, body, url) for url in urls))

    async def settle(self) -> None:
        """Send again what was not answered, until it is: the same identifier counts once."""
        for player in self.players:
            for body in list(player.unsettled.values()):
                for _ in range(50):
                    if await self.send(player, body, self.random.choice(self.urls)):
                        break
                    await asyncio.sleep(0.2)
                else:
                    self.wrongs.append(f"{player.name}/{body['action_identifier']} can't be settled")

    async def send(self, player: Player, body: dict[str, str], url: str) -> bool:
        """Whether the service decided."""
        headers = {"Authorization": f"Bearer {player.token}"}
        player.unsettled[body["action_identifier"]] = body
        try:
            async with (
                asyncio.timeout(BOUND + SLACK),
                self._http.post(f"{url}/api/actions/complete", json=body, headers=headers) as reply,
            ):
                answer = await reply.json(content_type=None)
        except TimeoutError:
            self.wrongs.append(f"no answer within {BOUND} s from {url}")
            return False
        except (aiohttp.ClientError, OSError):
            self.statuses[0] += 1  # the node is dead: the client sends again
            return False
        return self._take(player, reply, answer)

    def _take(self, player: Player, reply: aiohttp.ClientResponse, answer: dict[str, Any]) -> bool:
        self.statuses[reply.status] += 1
        if reply.status == 503:
            if "Retry-After" not in reply.headers:
                self.wrongs.append(f"503 without Retry-After: {answer}")
            return False
        identifier = answer.get("action_identifier", "")
        if reply.status in (200, 201):
            if answer["rank"] is None and answer["rank_state"] == "exact":
                self.wrongs.append(f"no rank, and it is said to be exact: {answer}")
            player.told.append(_told(player, answer))
            player.unsettled.pop(identifier, None)
            return True
        self.wrongs.append(f"{reply.status}: {answer}")
        return True


def _told(player: Player, answer: dict[str, Any]) -> Told:
    place = (answer["epoch"], answer["seq"]) if answer.get("epoch") and not answer["replayed"] else None
    return Told(
        player.name,
        answer["action_identifier"],
        answer["action_id"],
        answer["score_earned"],
        answer["new_score"],
        answer["rank"],
        place,
        answer["replayed"],
    )


async def truth(database_url: str) -> tuple[list[Row], list[Standing]]:
    """Return what the ledger holds: actions, and the default board."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT u.username, a.action_identifier, a.id, a.score_earned, a.new_score "
            "FROM actions a JOIN users u ON u.id = a.user_id"
        )
        standings = await connection.fetch(
            "SELECT u.username, s.score, s.sort_score, s.reached_at, s.user_id FROM standings s "
            "JOIN users u ON u.id = s.user_id JOIN windows w ON w.id = s.window_id "
            "JOIN boards b ON b.id = w.board_id WHERE b.is_default AND NOT s.hidden"
        )
    finally:
        await connection.close()
    micros = [int(row["reached_at"].timestamp() * 1_000_000) for row in standings]
    return [Row(*row) for row in rows], [
        Standing(row["username"], row["score"], (row["sort_score"], at, row["user_id"]))
        for row, at in zip(standings, micros, strict=True)
    ]


async def board(http: aiohttp.ClientSession, url: str) -> tuple[list[tuple[str, int, int]], str]:
    """A node's first hundred, and what it says of them."""
    async with asyncio.timeout(BOUND + SLACK), http.get(f"{url}/api/scoreboard?limit=100") as reply:
        answer = await reply.json()
        assert reply.status == 200, answer
    return [(row["username"], row["score"], row["rank"]) for row in answer["rows"]], answer["rank_state"]


async def verdict(load: Load, database_url: str, boards: dict[str, list[tuple[str, int, int]]]) -> list[str]:
    rows, standings = await truth(database_url)
    told = [one for player in load.players for one in player.told]
    attempted = frozenset((player.name, body["action_identifier"]) for player in load.players for body in player.sent)
    return [*load.wrongs, *violations(Evidence(told, rows, standings, attempted, boards))]


class Screen:
    """A live viewer of the default board on one node, which comes back when it is cut."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows: list[tuple[str, int, int]] = []

    async def watch(self) -> None:
        while True:
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                async with watching(self) as client:
                    while True:
                        rows = (await client.next_board())["rows"]
                        self.rows = [(row["username"], row["score"], row["rank"]) for row in rows]
            await asyncio.sleep(0.1)
