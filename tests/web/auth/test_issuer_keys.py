"""Keys of outside issuers: fetched with care, and done without for a while."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from aiohttp import web
from joserfc.jwk import RSAKey
from tests.support.issuer import Issuer, by_hand, knowing, signer
from tests.support.node import InProcessNode, running_node

from laurels.config import Settings
from laurels.web.auth import jwks


async def test_a_key_that_was_rotated_in_is_found(
    door: InProcessNode, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown key id makes the node look once; then not again for a while, however often it is asked for."""
    assert (await door.get("/api/me", issuer.token()))[0] == 200
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    issuer.keys["new"] = RSAKey.generate_key(2048)
    assert (await door.get("/api/me", issuer.token("new")))[0] == 200
    assert issuer.asked == 2
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 30.0)
    sign = signer(issuer.keys["rsa"], "RS256")
    odd = [by_hand({"alg": "RS256", "typ": "JWT", "kid": f"k{n}"}, issuer.claims(), sign) for n in range(50)]
    statuses = await asyncio.gather(*(door.get("/api/me", token) for token in odd))
    assert {status for status, _ in statuses} == {401}
    assert issuer.asked == 2


async def test_a_hundred_first_requests_fetch_the_keys_once(door: InProcessNode, issuer: Issuer) -> None:
    tokens = [issuer.token(n=n) for n in range(100)]
    answers = await asyncio.gather(*(door.get("/api/me", token) for token in tokens))
    assert {status for status, _ in answers} == {200}
    assert issuer.asked == 1


async def test_a_withdrawn_key_ends(door: InProcessNode, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the set is read again and what was remembered is over."""
    token, source = issuer.token("ec"), door.services.external_tokens._issuers[issuer.name][1]
    assert (await door.get("/api/me", token))[0] == 200
    del issuer.keys["ec"]
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    door.services.external_tokens._checked.clear()
    status, problem = await door.get("/api/me", token)
    assert (status, problem["code"]) == (401, "token_invalid")
    assert source._read_at is not None


def _redirect() -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


UNREADABLE = {
    "an error": lambda: web.Response(status=500),
    "a redirect": _redirect,
    "no JSON": lambda: web.Response(text="<html>"),
    "no key set": lambda: web.json_response([]),
    "too many keys": lambda: web.json_response({"keys": [{}] * (jwks.MAX_KEYS + 1)}),
    "too much": lambda: web.Response(body=b" " * (jwks.MAX_BYTES + 1)),
    "nesting without end": lambda: web.Response(body=b'{"keys":' + b"[" * 100_000),
}


@pytest.mark.parametrize("how", UNREADABLE)
async def test_an_issuer_without_readable_keys_is_said_to_be_away(
    door: InProcessNode, issuer: Issuer, how: str
) -> None:
    """503 with Retry-After, one fetch, no redirect followed; our own tokens go on working."""
    issuer.reply = UNREADABLE[how]
    for _ in range(3):
        status, problem = await door.get("/api/me", issuer.token())
        assert (status, problem["code"], problem["retry_after"]) == (503, "issuer_unavailable", 30)
    assert issuer.asked == 1
    assert (await door.get("/api/me", await door.token()))[0] == 200


async def test_an_issuer_that_goes_away_is_lived_without_for_a_while(
    door: InProcessNode, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its known keys stay good, for a day and no longer."""
    assert (await door.get("/api/me", issuer.token()))[0] == 200
    issuer.reply = UNREADABLE["an error"]
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0.0)
    assert (await door.get("/api/me", issuer.token(n=1)))[0] == 200
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    assert (await door.get("/api/me", issuer.token(n=2)))[0] == 503


async def test_an_issuer_that_does_not_answer_is_not_waited_for(
    settings: Settings, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        async with running_node(knowing(settings, issuer, jwks_url=url)) as node:
            assert (await node.get("/api/me", issuer.token()))[0] == 503


async def test_keys_may_come_from_a_file(settings: Settings, issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    async with running_node(knowing(settings, issuer, jwks_file=str(path))) as node:
        assert (await node.get("/api/me", issuer.token()))[0] == 503
        path.write_text(json.dumps(issuer.document()))
    async with running_node(knowing(settings, issuer, jwks_file=str(path))) as node:
        assert (await node.get("/api/me", issuer.token()))[0] == 200
    assert issuer.asked == 0
