"""SIGKILL in the middle of a load: every acknowledged action is in the ledger, exactly once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.support.server import LaurelsServer

from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db import pool as ledger_pool
from laurels.ranking.verify import prove

PLAYERS = 24
KILL_AFTER = 400
ROUNDS = 2
PLACE_NOW = ("rank", "previous_rank", "seq", "entered_top", "rank_state")
"""Members of a receipt that describe the present, not the moment of the action."""
KINDS = itertools.cycle(["lesson", "lesson", "quiz", "lesson"])


class Player:
    """Completes actions one after the other; keeps what was acknowledged and what is unknown."""

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.headers = {"Authorization": f"Bearer {token}"}
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.unknown: list[dict[str, str]] = []

    async def play(self, http: aiohttp.ClientSession, url: str, round_number: int) -> None:
        for number in itertools.count():
            body = {"action_type": next(KINDS), "action_identifier": f"{round_number}-{number}"}
            try:
                await self.send(http, url, body)
            except (aiohttp.ClientError, OSError):
                self.unknown.append(body)
                return

    async def send(self, http: aiohttp.ClientSession, url: str, body: dict[str, str]) -> None:
        async with http.post(f"{url}/api/actions/complete", json=body, headers=self.headers) as reply:
            receipt = await reply.json()
        if reply.status in (200, 201):
            self.acknowledged[body["action_identifier"]] = receipt


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[LaurelsServer]:
    server = LaurelsServer(database_url, tmp_path / "log")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def test_no_acknowledged_action_is_lost_or_doubled(server: LaurelsServer, database_url: str) -> None:
    """Killed twice under load: acknowledgements, ledger, scores and ranks agree afterwards."""
    names = [f"player-{n}" for n in range(PLAYERS)]
    players = [Player(name, await asyncio.to_thread(server.register, name)) for name in names]
    async with aiohttp.ClientSession() as http:
        for round_number in range(ROUNDS):
            await _kill_under_load(server, http, players, round_number)
            await asyncio.to_thread(server.start)
            await _receipts_are_kept(http, server.url, players)
        for player in players:  # what is unknown is settled by sending it again
            for body in player.unknown:
                await player.send(http, server.url, body)
        await _ledger_holds_each_once(database_url, players)
        await _everything_agrees(database_url, server)


async def _kill_under_load(
    server: LaurelsServer, http: aiohttp.ClientSession, players: list[Player], round_number: int
) -> None:
    def acknowledged() -> int:
        return sum(len(player.acknowledged) for player in players)

    goal = acknowledged() + KILL_AFTER
    load = [asyncio.create_task(player.play(http, server.url, round_number)) for player in players]
    async with asyncio.timeout(60):
        while acknowledged() < goal:  # noqa: ASYNC110  players have no reason to know about the kill
            await asyncio.sleep(0.01)
    server.kill()
    await asyncio.gather(*load)


async def _receipts_are_kept(http: aiohttp.ClientSession, url: str, players: list[Player]) -> None:
    """Equal to the first receipt except for the place, which is the current one: exact, and never unknown."""
    for player in players:
        for identifier, told in list(player.acknowledged.items())[-5:]:
            async with http.get(f"{url}/api/receipts/{identifier}", headers=player.headers) as reply:
                kept = await reply.json()
            assert kept["replayed"]
            assert (kept["rank_state"], kept["previous_rank"], kept["entered_top"]) == ("exact", None, False)
            assert 1 <= kept["rank"] <= PLAYERS
            assert _lasting(kept) == _lasting(told)


def _lasting(receipt: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in receipt.items() if name not in ("replayed", *PLACE_NOW)}


async def _ledger_holds_each_once(database_url: str, players: list[Player]) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT u.username, a.action_identifier, a.id, "
        "count(*) OVER (PARTITION BY a.user_id, a.action_identifier) AS times "
        "FROM actions a JOIN users u ON u.id = a.user_id"
    )
    await connection.close()
    held = {(row["username"], row["action_identifier"]): row for row in rows}
    assert all(row["times"] == 1 for row in rows)
    for player in players:
        for identifier, receipt in player.acknowledged.items():
            assert held[player.name, identifier]["id"] == receipt["action_id"]


async def _everything_agrees(database_url: str, server: LaurelsServer) -> None:
    """Scores equal the fold of the ledger, ranks equal a sort, and the board says the same."""
    pool = await ledger_pool.connect(database_url, size=6)
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    window = await catalogue.window(catalogue.default_board)
    proof = await prove(pool, window)
    assert (proof.standings, proof.unfolded, proof.misranked) == (PLAYERS, 0, 0)
    rows = await pool.fetch(
        "SELECT u.username, s.score FROM standings s JOIN users u ON u.id = s.user_id WHERE s.window_id = $1 "
        "ORDER BY s.score DESC, s.reached_at, s.user_id",
        window.id,
    )
    await pool.close()
    board = await asyncio.to_thread(server.get, "/api/scoreboard?limit=100")
    assert [(row["username"], row["score"]) for row in board["rows"]] == [tuple(row) for row in rows]
    assert [row["rank"] for row in board["rows"]] == list(range(1, PLAYERS + 1))
