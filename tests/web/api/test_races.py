"""Fifty requests at once over two processes on one database: what counts once, counts once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from tests.support.keys import make_key, signature
from tests.support.server import LaurelsServer

from laurels.ledger.db import pool as ledger_pool

TYPES = {
    "sprint": '{"ticket": {"min_seconds": 0, "max_seconds": 600, "parallel": true}}',
    "thrice": '{"total_cap": 3}',
    "daily": '{"daily_cap": 7}',
    "now-and-then": '{"cooldown_seconds": 600}',
    "code": '{"once_for_all": "code"}',
    "best-five": '{"first": {"count": 5, "bonus": 100}}',
}
KEY: list[tuple[int, str]] = []
"""Id and signing secret of a key that both processes know."""
_people = (f"racer-{n}" for n in itertools.count(1))
Pair = tuple[LaurelsServer, LaurelsServer]


@pytest.fixture(scope="module")
def pair(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes on one database."""
    url, logs = postgres.replace("/postgres?", "/races?"), tmp_path_factory.mktemp("races")
    asyncio.run(_prepare(postgres, url))
    one, two = (LaurelsServer(url, logs / str(n)) for n in range(2))
    try:
        one.start()
        two.start()
        yield one, two
    finally:
        for server in (one, two):
            if server.process is not None and server.process.poll() is None:
                server.stop()


async def _prepare(postgres: str, url: str) -> None:
    connection = await asyncpg.connect(postgres)
    await connection.execute("CREATE DATABASE races TEMPLATE laurels_template")
    await connection.close()
    pool = await ledger_pool.connect(url, size=6)
    insert = "INSERT INTO action_types (name, base_score, scoring_rules) VALUES ($1, 10, $2)"
    await pool.executemany(insert, list(TYPES.items()))
    key_id, _, secret = await make_key(pool)
    KEY[:] = [(key_id, secret)]
    await pool.close()


def at_once(pair: Pair, requests: list[tuple[str, bytes | dict[str, Any], dict[str, str]]]) -> Counter[str]:
    """Return the answers, as words, to requests of (path, body, headers) sent over both processes in turn."""

    async def all_of_them() -> list[str]:
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as http:

            async def send(n: int, path: str, body: bytes | dict[str, Any], headers: dict[str, str]) -> str:
                how: Any = {"data": body} if isinstance(body, bytes) else {"json": body}
                async with http.post(pair[n % 2].url + path, headers=headers, **how) as reply:
                    answer = await reply.json(content_type=None)
                    return answer.get("code") or ("replayed" if answer["replayed"] else str(answer["score_earned"]))

            return await asyncio.gather(*(send(n, *one) for n, one in enumerate(requests)))

    return Counter(asyncio.run(all_of_them()))


def completes(token: str, kind: str, *, identifier: str | None = None, **more: Any) -> tuple[str, Any, dict[str, str]]:
    body = {"action_type": kind, "action_identifier": identifier or str(uuid4()), **more}
    return "/api/actions/complete", body, {"Authorization": f"Bearer {token}"}


def test_a_ticket_is_used_once(pair: Pair) -> None:
    """Each request with an identifier of its own: one is awarded, whichever process it came to."""
    token = pair[0].register(next(_people))
    ticket = pair[0].post("/api/actions/start", {"action_type": "sprint"}, token)["ticket"]
    answers = at_once(pair, [completes(token, "sprint", ticket=ticket) for _ in range(50)])
    assert answers == {"10": 1, "ticket_used": 49}


def test_retries_with_one_ticket_get_one_receipt(pair: Pair) -> None:
    """The same identifier with the same ticket: one award, and the same receipt for all."""
    token = pair[0].register(next(_people))
    ticket = pair[1].post("/api/actions/start", {"action_type": "sprint"}, token)["ticket"]
    answers = at_once(pair, [completes(token, "sprint", identifier="a", ticket=ticket)] * 50)
    assert answers == {"10": 1, "replayed": 49}


@pytest.mark.parametrize(
    ("kind", "awards", "code"),
    [("thrice", 3, "total_cap_reached"), ("daily", 7, "daily_cap_reached"), ("now-and-then", 1, "cooldown_active")],
)
def test_no_cap_is_passed(pair: Pair, kind: str, awards: int, code: str) -> None:
    """To the last one: neither more nor fewer than the rule says."""
    token = pair[0].register(next(_people))
    assert at_once(pair, [completes(token, kind) for _ in range(50)]) == {"10": awards, code: 50 - awards}


def test_a_code_is_redeemed_by_one_of_fifty_people(pair: Pair) -> None:
    tokens = [pair[n % 2].register(next(_people)) for n in range(50)]
    answers = at_once(pair, [completes(token, "code", metadata={"code": "WELCOME"}) for token in tokens])
    assert answers == {"10": 1, "already_claimed": 49}


def test_five_of_fifty_are_the_first_five(pair: Pair) -> None:
    tokens = [pair[n % 2].register(next(_people)) for n in range(50)]
    assert at_once(pair, [completes(token, "best-five") for token in tokens]) == {"110": 5, "10": 45}


def test_a_signature_is_let_in_once(pair: Pair) -> None:
    """The same signed bytes to both processes: one is answered, the others are replays."""
    pair[0].register("signed-for")
    body = b'{"action_type": "lesson", "action_identifier": "a", "user": {"username": "signed-for"}}'
    header = {"Laurels-Signature": signature(*KEY[0], body)}
    answers = at_once(pair, [("/api/server/actions/complete", body, header)] * 50)
    assert answers == {"10": 1, "signature_replayed": 49}
