"""Servers speak for users: with a key or a signed body, for the user they name, and no one else may."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.keys import key_on, signature
from tests.support.node import InProcessNode, running_node

from laurels.app.api_keys import FreshSecret
from laurels.config import Settings
from laurels.ledger.accounts import nonces, sanctions
from laurels.ledger.accounts.api_keys import ApiKeys
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.secret_box import DecryptionFailed, SecretBox
from laurels.web.auth.signatures import WINDOW

COMPLETE, BATCH = "/api/server/actions/complete", "/api/server/actions/batch"


@dataclass
class Stage:
    """A node with a type that only servers may complete, one user, and a key."""

    node: InProcessNode
    user: dict[str, Any]
    token: str
    key_id: int
    key: str
    secret: str

    def action(self, identifier: str = "a-1", kind: str = "sealed", **user: Any) -> dict[str, Any]:
        return {"action_type": kind, "action_identifier": identifier, "user": user or {"id": self.user["id"]}}

    async def signed(self, body: dict[str, Any], path: str = COMPLETE, **how: Any) -> tuple[int, Any]:
        raw = json.dumps(body).encode()
        return await self.send(raw, signature(self.key_id, self.secret, raw, **how), path)

    async def send(self, raw: bytes, header: str, path: str = COMPLETE) -> tuple[int, Any]:
        headers = {"Laurels-Signature": header, "Content-Type": "application/json"}
        async with self.node.http.post(self.node.url + path, data=raw, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def actions(self) -> int:
        return await self.node.services.pool.fetchval("SELECT count(*) FROM actions")


@pytest.fixture
async def stage(node: InProcessNode) -> Stage:
    await node.services.pool.execute(
        "INSERT INTO action_types (name, base_score, scoring_rules) VALUES ('sealed', 10, '{\"issuer\": \"server\"}')"
    )
    await node.services.catalogue.refresh()
    ada = await node.register("Ada")
    return Stage(node, ada["user"], ada["access_token"], *await key_on(node))


async def test_a_server_completes_for_a_user_by_id_name_or_subject(stage: Stage) -> None:
    """The points are the user's, and the receipt is the user's too."""
    node = stage.node
    await node.services.pool.execute(
        "UPDATE users SET external_issuer = 'https://id.example', external_subject = 'ada|1' WHERE username = 'Ada'"
    )
    refs = [{"id": stage.user["id"]}, {"username": "ADA"}, {"issuer": "https://id.example", "subject": "ada|1"}]
    for n, ref in enumerate(refs):
        status, receipt = await node.post(COMPLETE, stage.action(f"a-{n}", **ref), stage.key)
        assert (status, receipt["new_score"]) == (201, 10 * (n + 1)), receipt
    assert (await node.post(COMPLETE, stage.action("a-0"), stage.key))[0] == 200
    status, receipt = await node.get("/api/receipts/a-0", stage.token)
    assert (status, receipt["score_earned"]) == (200, 10)


async def test_only_a_server_may_complete_what_is_the_servers(stage: Stage) -> None:
    """The user's token is refused there, the key on the user's path, and the type without a server."""
    node, own = stage.node, {"action_type": "sealed", "action_identifier": "a-1"}
    answers = [
        await node.post("/api/actions/complete", own, stage.token),
        await node.post(COMPLETE, stage.action(), stage.token),
        await node.post("/api/actions/complete", own, stage.key),
        await node.post(COMPLETE, stage.action(), (await key_on(node, "users:write"))[1]),
        await node.post(COMPLETE, stage.action()),
    ]
    assert [(status, problem["code"]) for status, problem in answers] == [
        (422, "server_only"),
        *[(403, "forbidden")] * 3,
        (401, "token_missing"),
    ]
    assert await stage.actions() == 0
    _, types = await node.get("/api/action-types")
    assert [kind["name"] for kind in types["action_types"] if kind["server_only"]] == ["sealed"]


async def test_a_user_is_named_in_exactly_one_way(stage: Stage) -> None:
    for odd in (
        {"id": 1, "username": "Ada"},
        {"issuer": "x"},
        {"subject": "x"},
        {"id": 1, "issuer": "x"},
        {"id": None},
    ):
        status, problem = await stage.node.post(COMPLETE, stage.action(**odd), stage.key)
        assert (status, problem["code"], problem["path"]) == (422, "invalid_request", "$.user"), odd
    for unknown in ({"id": 2**63 - 1}, {"username": "no\0body"}, {"issuer": "x", "subject": "y"}):
        status, problem = await stage.node.post(COMPLETE, stage.action(**unknown), stage.key)
        assert (status, problem["code"], problem["path"]) == (404, "user_unknown", "$.user"), unknown


async def test_in_a_batch_one_user_spoils_nothing_for_the_others(stage: Stage) -> None:
    """A result per item, in order: who is banned or not there refuses that item alone."""
    node = stage.node
    bob, eve = (await node.register("bob"))["user"], (await node.register("eve"))["user"]
    await sanctions.ban(node.services.pool, SYSTEM, eve["id"], None)
    batch = [stage.action("x", id=one) for one in (bob["id"], 999, eve["id"], stage.user["id"], bob["id"])]
    status, answer = await node.post(BATCH, {"actions": batch}, stage.key)
    assert status == 200
    told = [item.get("code") or item["status"] for item in answer["results"]]
    assert told == ["awarded", "user_unknown", "banned", "awarded", "replayed"]


async def test_a_signed_body_counts_once(stage: Stage) -> None:
    """Without showing the key; the same signature again is a replay, also after it was refused by the rules."""
    raw = json.dumps(stage.action()).encode()
    header = signature(stage.key_id, stage.secret, raw)
    assert (await stage.send(raw, header))[0] == 201
    status, problem = await stage.send(raw, header)
    assert (status, problem["code"]) == (409, "signature_replayed")
    assert (await stage.signed(stage.action()))[0] == 200
    status, answer = await stage.signed({"actions": [stage.action("a-2")]}, BATCH)
    assert (status, answer["awarded"]) == (200, 1)
    assert await stage.actions() == 2


async def test_of_fifty_replays_at_once_one_is_let_in(stage: Stage) -> None:
    raw = json.dumps(stage.action()).encode()
    header = signature(stage.key_id, stage.secret, raw)
    statuses = [status for status, _ in await asyncio.gather(*(stage.send(raw, header) for _ in range(50)))]
    assert sorted(statuses) == [201] + [409] * 49


async def test_what_is_not_signed_for_this_body_is_refused(stage: Stage) -> None:
    """Another body, time, nonce, secret or key; a header out of shape. 401, and no nonce is spent on it."""
    raw = json.dumps(stage.action()).encode()
    good = signature(stage.key_id, stage.secret, raw, nonce="a" * 32)
    k, t, n, v1 = good.split(",")
    other_id, _, other_secret = await key_on(stage.node)
    wrong = [
        signature(stage.key_id, stage.secret, raw + b" "),
        signature(stage.key_id, other_secret, raw),
        signature(other_id, stage.secret, raw),
        signature(999, stage.secret, raw),
        f"{k},t={int(time.time()) + 1},{n},{v1}",
        f"{k},{t},n={'b' * 32},{v1}",
        f"{k},{t},{n},{v1[:-1]}",
        f"{k},{t},{n},v1={'0' * 64}",
        f"{k},{t},{n},{v1},{v1}",
        f"{k},{t},{n}",
        f"{t},{n},{v1}",
        good.upper(),
        signature(stage.key_id, stage.secret, raw, nonce="short"),
        signature(stage.key_id, stage.secret, raw, nonce="x" * 65),
        f"{k}\u0661{t}\u0661{n}\u0661{v1}",
        "",
        "x" * 4_000,
    ]
    for header in wrong:
        status, problem = await stage.send(raw, header.encode("utf-8").decode("latin-1"))
        assert (status, problem["code"]) == (401, "signature_invalid"), header
    assert (await stage.send(raw, good))[0] == 201


async def test_a_signature_is_good_for_five_minutes(stage: Stage) -> None:
    for at in (time.time() - WINDOW - 5, time.time() + WINDOW + 5):
        status, problem = await stage.signed(stage.action(), at=at)
        assert (status, problem["code"]) == (401, "signature_expired")
    for n, at in enumerate((time.time() - WINDOW + 30, time.time() + WINDOW - 30)):
        assert (await stage.signed(stage.action(f"a-{n}"), at=at))[0] == 201


async def test_a_signature_opens_nothing_but_the_servers_paths(stage: Stage) -> None:
    """Nor does a key without the scope sign its way in, and a revoked one signs no more."""
    key_id, _, secret = await key_on(stage.node, "users:write")
    raw = json.dumps(stage.action()).encode()
    status, problem = await stage.send(raw, signature(key_id, secret, raw))
    assert (status, problem["code"]) == (403, "forbidden")
    status, problem = await stage.send(b"{}", signature(key_id, secret, b"{}"), "/api/admin/index/verify")
    assert (status, problem["code"]) == (401, "token_missing")
    await ApiKeys(stage.node.services.pool, uuid4()).revoke(stage.key_id, SYSTEM)
    await stage.node.services.keyring.refresh()
    assert (await stage.signed(stage.action()))[0] == 401


async def test_after_a_rotation_both_secrets_sign_until_the_overlap_ends(stage: Stage) -> None:
    keyring, store = stage.node.services.keyring, ApiKeys(stage.node.services.pool, uuid4())
    for overlap, expected in ((timedelta(hours=1), 201), (timedelta(0), 401)):
        before, fresh = stage.secret, FreshSecret.generate()
        await store.rotate(stage.key_id, fresh.stored(keyring.secret_box), overlap, SYSTEM)
        await keyring.refresh()
        assert (await stage.signed(stage.action(str(uuid4()))))[0] == expected
        stage.secret = fresh.signing
        assert (await stage.signed(stage.action(str(uuid4()))))[0] == 201
        assert before != stage.secret


async def test_nonces_and_tickets_are_trimmed_when_nothing_could_bring_them_back(stage: Stage) -> None:
    """A housekeeping drops the old and keeps the young."""
    pool = stage.node.services.pool
    await stage.signed(stage.action())
    await stage.signed(stage.action("a-2"))
    await pool.execute(
        "UPDATE signature_nonces SET used_at = now() - interval '1 hour' "
        "WHERE ctid IN (SELECT ctid FROM signature_nonces LIMIT 1)"
    )
    action = await pool.fetchval("SELECT max(id) FROM actions")
    for n, ago in enumerate(("1 hour", "1 minute")):
        await pool.execute(f"INSERT INTO ticket_uses VALUES ($1, $2, now() - interval '{ago}')", bytes([n]), action)
    await nonces.trim(pool)
    assert await pool.fetchval("SELECT count(*) FROM signature_nonces") == 1
    assert [row["nonce"] for row in await pool.fetch("SELECT nonce FROM ticket_uses")] == [b"\1"]


async def test_encrypted_secrets_are_not_in_the_ledger_and_work_all_the_same(settings: Settings) -> None:
    """With LAURELS_ENCRYPTION_KEY the table holds no secret; a node without it refuses signatures, not keys."""
    encryption_key = "k" * 32
    async with running_node(replace(settings, encryption_key=encryption_key)) as node:
        fresh = FreshSecret.generate()
        store = ApiKeys(node.services.pool, uuid4())
        made = await store.create("k", ["actions:write"], fresh.stored(node.services.keyring.secret_box), SYSTEM)
        await node.services.keyring.refresh()
        user = (await node.register("ada"))["user"]
        stage = Stage(node, user, "", made.id, fresh.key(made.id), fresh.signing)
        assert (await stage.signed(stage.action(kind="lesson")))[0] == 201
        kept = await node.services.pool.fetchval("SELECT signing_secret FROM api_key_secrets")
        assert fresh.signing.encode() not in kept
    async with running_node(settings) as node:
        stage.node = node
        assert (await stage.signed(stage.action(kind="lesson")))[0] == 401
        assert (await node.post(COMPLETE, stage.action(kind="lesson"), stage.key))[0] == 200


def test_a_secret_decrypts_only_for_its_own_use_and_key() -> None:
    box, other = SecretBox("k" * 32), SecretBox("l" * 32)
    kept = box.encrypt("lks_x", "row 1")
    assert box.decrypt(kept, "row 1") == "lks_x"
    assert kept != box.encrypt("lks_x", "row 1")
    for opener, use in ((box, "row 2"), (other, "row 1"), (SecretBox(), "row 1")):
        with pytest.raises(DecryptionFailed):
            opener.decrypt(kept, use)
    with pytest.raises(DecryptionFailed):
        box.decrypt(kept[:-2] + b"xx", "row 1")
    assert SecretBox().decrypt(SecretBox().encrypt("lks_x", "row 1"), "row 1") == "lks_x"
