"""Promises of POST /api/actions/complete."""

from __future__ import annotations

import asyncio

from tests.support.node import InProcessNode
from tests.support.receipts import replay_of


async def test_an_action_earns_its_worth_and_the_receipt_tells_the_place(node: InProcessNode) -> None:
    """201 with score, rank and seq that the board shows too."""
    token = await node.token("ada")
    status, receipt = await node.complete(token, "a-1")
    assert status == 201
    assert (receipt["score_earned"], receipt["new_score"], receipt["rank"], receipt["previous_rank"]) == (
        10,
        10,
        1,
        None,
    )
    assert receipt["entered_top"] is True
    _, board = await node.get("/api/scoreboard")
    assert board["rows"] == [{"rank": 1, "username": "ada", "score": 10, "movement": None}]
    assert board["seq"] == receipt["seq"]


async def test_a_replay_gets_the_same_receipt_with_the_place_now(node: InProcessNode) -> None:
    """200, equal to the first receipt but for `replayed` and the place, which is the present one."""
    token, rival = await node.token("ada"), await node.token("grace")
    _, first = await node.complete(token, "a-1")
    await node.complete(rival, "b-1", "quiz")
    status, second = await node.complete(token, "a-1")
    assert status == 200
    assert second == replay_of(first, rank=2, seq=first["seq"] + 1)
    assert await node.get("/api/receipts/a-1", token) == (200, second)


async def test_the_same_identifier_at_once_counts_once(node: InProcessNode) -> None:
    """Thirty requests at once: one 201, the rest 200, all of the same action."""
    token = await node.token("ada")
    answers = await asyncio.gather(*(node.complete(token, "same") for _ in range(30)))
    assert sorted(status for status, _ in answers) == [200] * 29 + [201]
    assert len({tuple(sorted(replay_of(receipt).items())) for _, receipt in answers}) == 1
    _, me = await node.get("/api/me", token)
    assert me["places"][0]["score"] == 10


async def test_the_same_identifier_with_another_body_is_a_conflict(node: InProcessNode) -> None:
    token = await node.token()
    await node.complete(token, "a-1", metadata={"level": 1})
    status, problem = await node.complete(token, "a-1", metadata={"level": 2})
    assert (status, problem["code"]) == (409, "identifier_conflict")


async def test_a_retry_that_is_spelt_differently_gets_the_same_receipt(node: InProcessNode) -> None:
    """Numbers, escapes, order of members, white space, an empty document, another zone: what was said is the same."""
    token = await node.token()
    first = '{"action_type":"lesson","action_identifier":"a","metadata":{"x":5,"y":{"b":"\u00e9","a":0}}}'
    again = (
        '{ "metadata" : {"y":{"a":-0.0,"\\u0062":"\\u00e9"}, "x":5.0e0},\n'
        '"action_identifier":"\\u0061", "action_type":"lesson", "completed_at":null }'
    )
    assert await _raw(node, token, first) == (201, False)
    assert await _raw(node, token, again) == (200, True)
    assert await _raw(node, token, first.replace('"x":5', '"x":6')) == (409, None)
    empty = '{"action_type":"lesson","action_identifier":"b","metadata":{}}'
    assert await _raw(node, token, empty) == (201, False)
    assert await _raw(node, token, empty.replace(',"metadata":{}', "")) == (200, True)
    assert await _raw(node, token, empty.replace("{}", "null")) == (200, True)


async def test_integers_that_share_a_double_are_two_bodies(node: InProcessNode) -> None:
    token = await node.token()
    first = '{"action_type":"lesson","action_identifier":"a","metadata":{"x":9007199254740993}}'
    assert await _raw(node, token, first) == (201, False)
    assert await _raw(node, token, first.replace("93}", "92}")) == (409, None)
    kept = await node.services.pool.fetchval("SELECT metadata ->> 'x' FROM actions")
    assert kept == "9007199254740993"


async def _raw(node: InProcessNode, token: str, body: str) -> tuple[int, bool | None]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with node.http.post(node.url + "/api/actions/complete", data=body.encode(), headers=headers) as reply:
        return reply.status, (await reply.json(content_type=None)).get("replayed")
