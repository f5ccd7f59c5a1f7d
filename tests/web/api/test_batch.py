"""Promises of POST /api/actions/batch."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.support.node import InProcessNode
from tests.support.polling import eventually
from tests.support.raw_http import connected, request
from tests.support.receipts import replay_of

from laurels.app.actions import raise_if_undecided
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.accounts import sanctions
from laurels.ledger.events.audit import SYSTEM
from laurels.ledger.write.commit_queue import DecidedAction

BATCH = "/api/actions/batch"


def lesson(identifier: str, **more: Any) -> dict[str, Any]:
    return {"action_type": "lesson", "action_identifier": identifier} | more


async def send(node: InProcessNode, token: str, *items: dict[str, Any]) -> tuple[int, Any]:
    return await node.post(BATCH, {"actions": list(items)}, token)


def statuses(reply: dict[str, Any]) -> list[str]:
    return [result["status"] for result in reply["results"]]


async def test_a_thousand_actions_are_one_commit(node: InProcessNode) -> None:
    """Results in the order of the items, scores that add up, one batch in the ledger, a microsecond each."""
    token = await node.token("ada")
    status, reply = await send(node, token, *(lesson(f"a-{n}") for n in range(1000)))
    assert (status, reply["awarded"], reply["replayed"], reply["refused"]) == (200, 1000, 0, 0)
    receipts = [result["receipt"] for result in reply["results"]]
    assert [receipt["action_identifier"] for receipt in receipts] == [f"a-{n}" for n in range(1000)]
    assert [receipt["new_score"] for receipt in receipts] == [10 * n for n in range(1, 1001)]
    assert {receipt["rank"] for receipt in receipts} == {1}
    row = await node.services.pool.fetchrow(
        "SELECT count(*), count(DISTINCT created_at) AS instants, count(DISTINCT batch_id) AS batches, "
        "max(created_at) - min(created_at) < interval '1 ms' AS close FROM actions"
    )
    assert tuple(row) == (1000, 1000, 1, True)
    _, board = await node.get("/api/scoreboard")
    assert board["rows"][0]["score"] == 10_000


async def test_a_refused_item_is_named_and_its_neighbours_count(node: InProcessNode) -> None:
    """Unknown type, cap, cooldown, future: each with its code and what helps; nothing of them is written."""
    token = await node.token()
    status, reply = await send(
        node,
        token,
        lesson("a-1"),
        lesson("a-2", action_type="nope"),
        lesson("a-3", action_type="quiz"),
        lesson("a-4", action_type="quiz"),
        lesson("a-5", action_type="daily-login"),
        lesson("a-6", action_type="daily-login"),
        lesson("a-7", completed_at="2999-01-01T00:00:00Z"),
        lesson("a-8"),
    )
    assert status == 200
    assert [result.get("code") for result in reply["results"]] == [
        None,
        "action_type_unknown",
        None,
        "cooldown_active",
        None,
        "daily_cap_reached",
        "completed_in_future",
        None,
    ]
    assert (reply["awarded"], reply["refused"]) == (4, 4)
    for result in reply["results"]:
        assert ("receipt" in result) == (result["status"] == "awarded")
        assert ("detail" in result) == (result["status"] == "refused")
    assert 1 <= reply["results"][3]["retry_after"] <= 2
    written = await node.services.pool.fetch("SELECT action_identifier FROM actions ORDER BY id")
    assert [row[0] for row in written] == ["a-1", "a-3", "a-5", "a-8"]


async def test_the_identifier_of_a_refused_item_stays_free(node: InProcessNode) -> None:
    token = await node.token()
    await send(node, token, lesson("a-1", action_type="nope"))
    _, reply = await send(node, token, lesson("a-1"))
    assert statuses(reply) == ["awarded"]


async def test_twice_in_one_batch_counts_once(node: InProcessNode) -> None:
    """The second is a replay of the first, with the same receipt; with another body it is a conflict."""
    token = await node.token()
    _, reply = await send(
        node, token, lesson("a-1"), lesson("a-1"), lesson("a-1", metadata={"level": 2}), lesson("b-1")
    )
    assert statuses(reply) == ["awarded", "replayed", "refused", "awarded"]
    first, second = (reply["results"][n]["receipt"] for n in (0, 1))
    assert second == first | {"replayed": True}
    assert reply["results"][2]["code"] == "identifier_conflict"
    assert reply["results"][3]["receipt"]["new_score"] == 20


async def test_a_batch_sent_again_gets_the_same_receipts(node: InProcessNode) -> None:
    """Also when completed_at names another time zone: the same instant is the same body."""
    token = await node.token()
    items = [
        lesson(f"a-{n}", completed_at="2026-01-01T10:00:00+02:00", metadata={"b": n, "a": [1.5]}) for n in range(5)
    ]
    _, first = await send(node, token, *items)
    _, second = await send(node, token, *items)
    assert statuses(second) == ["replayed"] * 5
    expected = [replay_of(result["receipt"]) for result in first["results"]]
    assert [result["receipt"] for result in second["results"]] == expected
    assert {receipt["completed_at"] for receipt in expected} == {"2026-01-01T08:00:00Z"}
    in_utc = [item | {"completed_at": "2026-01-01T08:00:00Z"} for item in items]
    assert statuses((await send(node, token, *in_utc))[1]) == ["replayed"] * 5


async def test_single_and_batch_share_their_identifiers(node: InProcessNode) -> None:
    token = await node.token()
    await node.complete(token, "a-1")
    _, reply = await send(node, token, lesson("a-1"), lesson("a-2"))
    assert statuses(reply) == ["replayed", "awarded"]
    status, receipt = await node.complete(token, "a-2")
    assert (status, receipt) == (200, replay_of(reply["results"][1]["receipt"]))


async def test_overlapping_batches_at_once_count_every_identifier_once(node: InProcessNode) -> None:
    """Eight batches over the same hundred identifiers: a hundred awards between them."""
    token = await node.token("ada")
    batches = [[lesson(f"a-{(n + shift) % 100}") for n in range(100)] for shift in range(0, 80, 10)]
    replies = await asyncio.gather(*(send(node, token, *items) for items in batches))
    assert sum(reply["awarded"] for _, reply in replies) == 100
    assert sum(reply["replayed"] for _, reply in replies) == 700
    _, me = await node.get("/api/me", token)
    assert me["places"][0]["score"] == 1000


async def test_a_caller_that_hangs_up_neither_loses_nor_doubles(node: InProcessNode) -> None:
    """Gone right after sending, twenty times; then the same identifiers again: each counts exactly once."""
    token = await node.token("ada")
    batches = [[lesson(f"a-{batch}-{n}") for n in range(25)] for batch in range(20)]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for items in batches:
        async with connected(node.url) as wire:
            wire.send(request("POST", BATCH, headers, json.dumps({"actions": items}).encode()))
            await asyncio.sleep(0)
            wire.abort()
    for items in batches:
        status, reply = await send(node, token, *items)
        assert (status, reply["refused"]) == (200, 0)
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 500
    _, me = await node.get("/api/me", token)
    assert me["places"][0]["score"] == 5000


async def test_what_was_sent_whole_is_done_although_no_one_waits(node: InProcessNode) -> None:
    """The ledger was given the batch: that its sender has gone changes nothing."""
    token = await node.token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with connected(node.url) as wire:
        wire.send(request("POST", BATCH, headers, json.dumps({"actions": [lesson("a-1")]}).encode()))
        await eventually(lambda: node.services.pool.fetchval("SELECT count(*) FROM actions"), lambda count: count == 1)
    status, receipt = await node.get("/api/receipts/a-1", token)
    assert (status, receipt["rank"]) == (200, 1)


async def test_a_banned_user_is_refused_as_a_whole(node: InProcessNode) -> None:
    """403, not a list of refusals: it is the caller that may not, whatever it sends."""
    tokens = await node.register()
    await sanctions.ban(node.services.pool, SYSTEM, tokens["user"]["id"], None)
    status, problem = await send(node, tokens["access_token"], lesson("a-1"), lesson("a-2"))
    assert (status, problem["code"]) == (403, "banned")


async def test_a_ledger_that_is_away_refuses_the_whole_batch(node: InProcessNode) -> None:
    """503 with Retry-After; nothing is half-done, and the same batch succeeds afterwards."""
    token = await node.token()
    pool = node.services.pool
    await pool.execute("ALTER TABLE actions RENAME TO actions_away")
    async with node.http.post(
        node.url + BATCH, json={"actions": [lesson("a-1"), lesson("a-2")]}, headers={"Authorization": f"Bearer {token}"}
    ) as reply:
        problem = await reply.json(content_type=None)
        assert (reply.status, problem["code"]) == (503, "database_unavailable")
        assert reply.headers["Retry-After"] == "1"
    await pool.execute("ALTER TABLE actions_away RENAME TO actions")
    assert statuses((await send(node, token, lesson("a-1"), lesson("a-2")))[1]) == ["awarded", "awarded"]


async def test_a_batch_that_takes_too_long_gets_there_by_being_sent_again(node: InProcessNode) -> None:
    """503 until all of it is decided; nothing counts twice, and what was decided is a replay."""
    token = await node.token()
    await node.services.pool.execute(
        """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.008); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION slow()"""
    )
    items = [lesson(f"a-{n}") for n in range(300)]
    told = set()
    async with asyncio.timeout(120):
        while (sent := await send(node, token, *items))[0] != 200:
            assert sent[0] == 503
            told.add(sent[1]["code"])
    assert told <= {"overloaded", "outcome_unknown"}
    assert told
    reply = sent[1]
    assert reply["awarded"] + reply["replayed"] == 300
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 300


@pytest.mark.parametrize(
    ("codes", "refusal"),
    [
        ([Code.COOLDOWN_ACTIVE, Code.ACTION_UNWRITABLE], None),
        ([Code.COOLDOWN_ACTIVE, Code.OVERLOADED], Code.OVERLOADED),
        ([Code.OVERLOADED, Code.OUTCOME_UNKNOWN, Code.DATABASE_UNAVAILABLE], Code.OUTCOME_UNKNOWN),
        ([Code.DATABASE_UNAVAILABLE, Code.OVERLOADED], Code.DATABASE_UNAVAILABLE),
        ([Code.OUTCOME_UNKNOWN, Code.BANNED], Code.BANNED),
    ],
)
def test_a_batch_is_refused_with_what_leaves_the_most_open(codes: list[Code], refusal: Code | None) -> None:
    results: list[DecidedAction | LaurelsError] = [LaurelsError(code, "as it is", retry_after=1) for code in codes]
    if refusal is None:
        raise_if_undecided(results, refusing_all=(Code.BANNED,))
        return
    with pytest.raises(LaurelsError) as refused:
        raise_if_undecided(results, refusing_all=(Code.BANNED,))
    assert refused.value.code is refusal
    assert refused.value.retry_after == 1
