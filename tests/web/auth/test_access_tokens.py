"""Access tokens: only what this service signed, for this use, in its time, for a user in good standing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwe, jwt
from joserfc.jwk import OctKey, OKPKey
from tests.support.node import InProcessNode
from tests.support.polling import eventually
from tests.support.raw_http import Reply, exchange, request

from laurels.ledger.accounts import sanctions
from laurels.ledger.accounts.accounts import AccountRecord, Accounts
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.access_tokens import MAX_LENGTH, new_signing_key

HEADER = {"alg": "Ed25519", "typ": "at+jwt"}


class Forge:
    """Makes tokens with the node's own key, or with others, that are wrong in one respect."""

    def __init__(self, node: InProcessNode, account: AccountRecord) -> None:
        self.node = node
        self.account = account
        self.key = node.services.tokens._signer
        assert self.key is not None
        self.now = int(time.time())
        self.claims = {
            "iss": "laurels",
            "aud": "laurels",
            "sub": str(account.id),
            "name": account.username,
            "role": account.role,
            "iat": self.now,
            "exp": self.now + 600,
        }

    def signed(self, header: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        """With the node's own key: only what is named here is wrong."""
        claims = {name: value for name, value in (self.claims | claims).items() if name != without}
        return self.by_hand(HEADER | {"kid": self.key.kid} | (header or {}), claims, self._sign)

    def by_hand(self, header: dict[str, Any], claims: Any, sign: Callable[[bytes], bytes]) -> str:
        content = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{content}.{b64(sign(content.encode()))}"

    def stranger(self, **header: Any) -> tuple[OKPKey, str]:
        """A token signed by a key that is not ours."""
        key = OKPKey.generate_key("Ed25519")
        return key, self.by_hand(HEADER | {"kid": self.key.kid} | header, self.claims, key.get_op_key("sign").sign)

    def _sign(self, content: bytes) -> bytes:
        return self.key.get_op_key("sign").sign(content)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
async def forge(node: InProcessNode) -> Forge:
    user = (await node.register("ada"))["user"]
    return Forge(node, AccountRecord(user["id"], user["username"], user["role"], "active"))


async def ask(node: InProcessNode, authorization: str | None) -> Reply:
    headers = {} if authorization is None else {"Authorization": authorization}
    return await exchange(node.url, request("GET", "/api/me", headers))


async def assert_refused(node: InProcessNode, authorization: str | None, code: str, of: object = "") -> None:
    """401 with a challenge and the right code."""
    reply = await ask(node, authorization)
    assert (reply.status, reply.json()["code"]) == (401, code), (of, reply)
    challenge = reply.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="laurels"'), of
    assert ('error="invalid_token"' in challenge) == (code != "token_missing"), of


async def test_a_good_token_is_let_in(forge: Forge) -> None:
    """The forge makes good tokens: what the other tests change is what is refused there."""
    assert (await ask(forge.node, f"Bearer {forge.signed()}")).status == 200
    assert (await ask(forge.node, f"bearer {forge.signed()}")).status == 200


async def test_without_a_bearer_token_the_door_says_how_to_come_in(forge: Forge) -> None:
    for given in (None, "", "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", forge.signed()):
        await assert_refused(forge.node, given, "token_missing", given)


async def test_what_is_no_token_is_refused(forge: Forge) -> None:
    """Malformed in every part, too long, not ASCII, encrypted: 401, never an error of ours."""
    good = forge.signed()
    head, payload, signature = good.split(".")
    secret = OctKey.generate_key(256)
    odd = {
        "a word": "x",
        "dots": "..",
        "many dots": "." * 100,
        "no signature": f"{head}.{payload}.",
        "a part too many": f"{good}.{signature}",
        "another signature": f"{head}.{payload}.{b64(bytes(64))}",
        "a longer signature": f"{head}.{payload}.{b64(bytes(65))}",
        "another payload": f"{head}.{b64(json.dumps(forge.claims | {'sub': '1'}).encode())}.{signature}",
        "padding": good + "==",
        "a space within": good.replace(".", ". "),
        "a header of brackets": f"{b64(b'[' * 380)}.{payload}.{signature}",
        "a header that is an array": f"{b64(b'[]')}.{payload}.{signature}",
        "a header that is null": f"{b64(b'null')}.{payload}.{signature}",
        "invalid UTF-8 in the header": f"{b64(bytes([123, 255, 125]))}.{payload}.{signature}",
        "not ASCII": good[:-1] + "\xff",
        "not ASCII at all": "\xe9\xe9\xe9.\xff.\x80",
        "too long": forge.signed(padding="x" * MAX_LENGTH),
        "encrypted": jwe.encrypt_compact({"alg": "dir", "enc": "A128CBC-HS256"}, good.encode(), secret),
    }
    for name, token in odd.items():
        await assert_refused(forge.node, f"Bearer {token}", "token_invalid", name)


async def test_a_token_of_another_key_or_algorithm_is_refused(forge: Forge) -> None:
    """The key is ours and the algorithm is fixed: nothing in a token can choose either."""
    public = forge.key.as_dict(private=False)
    raw = forge.key.get_op_key("verify").public_bytes_raw()
    pem = forge.key.as_pem(private=False)

    def with_hmac(secret: bytes) -> str:
        header = HEADER | {"alg": "HS256", "kid": forge.key.kid}
        return forge.by_hand(header, forge.claims, lambda content: hmac.digest(secret, content, hashlib.sha256))

    unsigned = HEADER | {"alg": "none", "kid": forge.key.kid}
    key, same_kid = forge.stranger()
    theirs = key.as_dict(private=False)
    _, with_jwk = forge.stranger(jwk=theirs)
    _, with_jku = forge.stranger(jku="http://127.0.0.1:1/jwks.json")
    _, with_x5u = forge.stranger(x5u="http://127.0.0.1:1/cert.pem")
    forged = {
        "alg none": forge.by_hand(unsigned, forge.claims, lambda _: b""),
        "alg None": forge.by_hand(unsigned | {"alg": "None"}, forge.claims, lambda _: b""),
        "alg none, signed": forge.signed({"alg": "none"}),
        "HS256 with the public key": with_hmac(raw),
        "HS256 with the public key as text": with_hmac(str(public["x"]).encode()),
        "HS256 with the public key as PEM": with_hmac(pem),
        "EdDSA by its old name": forge.signed({"alg": "EdDSA"}),
        "the same kid, another key": same_kid,
        "an unknown kid": forge.signed({"kid": "unknown"}),
        "a kid like a path": forge.signed({"kid": "../../etc/passwd"}),
        "a key in the token": with_jwk,
        "a key at an address": with_jku,
        "a certificate at an address": with_x5u,
        "a critical extension": forge.signed({"crit": ["exp"], "exp": forge.now + 600}),
        "an unknown critical extension": forge.signed({"crit": ["laurels"], "laurels": 1}),
    }
    for name, token in forged.items():
        await assert_refused(forge.node, f"Bearer {token}", "token_invalid", name)


async def test_a_token_for_another_use_is_refused(forge: Forge) -> None:
    """Type, issuer, audience, subject and times: required, and of the right kind."""
    wrong = {
        "typ JWT": forge.signed({"typ": "JWT"}),
        "typ missing": forge.by_hand(
            {"alg": "Ed25519", "kid": forge.key.kid}, forge.claims, forge.key.get_op_key("sign").sign
        ),
        "another issuer": forge.signed(iss="elsewhere"),
        "another audience": forge.signed(aud="elsewhere"),
        "audiences": forge.signed(aud=["elsewhere"]),
        "not a number as subject": forge.signed(sub="ada"),
        "a negative subject": forge.signed(sub="-1"),
        "another script's digits": forge.signed(sub="\u0661"),
        "a subject beyond 64 bits": forge.signed(sub=str(2**63)),
        "a number as subject": forge.signed(sub=forge.account.id),
        "a float as expiry": forge.signed(exp=forge.now + 600.5),
        "a boolean as expiry": forge.signed(exp=True),
        "text as expiry": forge.signed(exp=str(forge.now + 600)),
        "null as expiry": forge.signed(exp=None),
        "issued in the future": forge.signed(iat=forge.now + 600),
        "not good yet": forge.signed(nbf=forge.now + 600),
        "claims that are an array": forge.by_hand(
            HEADER | {"kid": forge.key.kid}, [1], forge.key.get_op_key("sign").sign
        ),
    }
    wrong |= {f"no {name}": forge.signed(without=name) for name in forge.claims}
    for name, token in wrong.items():
        await assert_refused(forge.node, f"Bearer {token}", "token_invalid", name)


async def test_an_expired_token_says_so(forge: Forge) -> None:
    """The answer asks to refresh, not to log in."""
    token = forge.node.services.tokens.issue(forge.account, lifetime=-60)
    await assert_refused(forge.node, f"Bearer {token}", "token_expired")


async def test_a_remembered_token_stops_at_its_expiry(forge: Forge) -> None:
    """It was verified and is remembered; one second later its time is over."""
    token = forge.node.services.tokens.issue(forge.account, lifetime=-1)  # within the leeway for clocks
    assert (await ask(forge.node, f"Bearer {token}")).status == 200
    assert f"Bearer {token}" in forge.node.services.tokens._verified
    reply = await eventually(lambda: ask(forge.node, f"Bearer {token}"), lambda reply: reply.status != 200, within=10)
    assert (reply.status, reply.json()["code"]) == (401, "token_expired")
    assert f"Bearer {token}" not in forge.node.services.tokens._verified


async def test_keys_rotate_without_logging_anybody_out(forge: Forge) -> None:
    """Old tokens stay good, new ones carry the new key, both keys are public and neither is secret no more."""
    node, tokens = forge.node, forge.node.services.tokens
    old = tokens.issue(forge.account)
    assert (await ask(node, f"Bearer {old}")).status == 200
    kid, private = new_signing_key()
    await node.services.accounts.rotate_signing_key(kid, private)
    tokens.set_keys(await node.services.accounts.signing_keys())
    new = tokens.issue(forge.account)
    assert json.loads(base64.urlsafe_b64decode(new.split(".")[0] + "=="))["kid"] == kid
    for token in (old, new):
        assert (await ask(node, f"Bearer {token}")).status == 200
    _, jwks = await node.get("/.well-known/jwks.json")
    assert [key["kid"] for key in jwks["keys"]] == [forge.key.kid, kid]
    for key in jwks["keys"]:
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "Ed25519", "sig")
        assert "d" not in key


async def test_the_published_keys_verify_our_tokens(forge: Forge) -> None:
    """Another service can check a token with what /.well-known/jwks.json says, and nothing else."""
    _, jwks = await forge.node.get("/.well-known/jwks.json")
    public = OKPKey.import_key(jwks["keys"][0])
    token = forge.node.services.tokens.issue(forge.account)
    assert jwt.decode(token, public, algorithms=["Ed25519"]).claims["sub"] == str(forge.account.id)


async def test_a_key_rotated_by_another_process_is_taken_up(forge: Forge) -> None:
    """The journal tells: within seconds this node signs with the new key."""
    kid, private = new_signing_key()
    await Accounts(forge.node.services.pool, uuid4()).rotate_signing_key(kid, private)
    await eventually(lambda: forge.node.get("/.well-known/jwks.json"), lambda seen: len(seen[1]["keys"]) == 2)
    token = (await forge.node.register())["access_token"]
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"] == kid


async def test_a_ban_ends_a_token_for_good_and_lifting_it_restores_the_boards(node: InProcessNode) -> None:
    """Banned by another process: 403 within seconds and off every board; lifted: back on them, exactly as before."""
    ada, bob = await node.register("ada"), await node.register("bob")
    for n in range(3):
        await node.complete(ada["access_token"], f"a-{n}")
    await node.complete(bob["access_token"], "b-0")
    before = [await node.get(path) for path in PUBLIC_VIEWS]
    pool = node.services.pool

    await sanctions.ban(pool, SYSTEM, ada["user"]["id"], None)
    status, problem = await eventually(lambda: node.get("/api/me", ada["access_token"]), lambda seen: seen[0] != 200)
    assert (status, problem["code"]) == (403, "banned")
    status, problem = await node.complete(ada["access_token"], "a-9")
    assert (status, problem["code"]) == (403, "banned")
    _, board = await eventually(lambda: node.get("/api/scoreboard"), lambda seen: seen[1]["total_users"] == 1)
    assert [(row["rank"], row["username"]) for row in board["rows"]] == [(1, "bob")]
    for path in PUBLIC_VIEWS[1:]:
        status, problem = await node.get(path)
        assert (status, problem["code"]) == (404, "user_unknown")

    await sanctions.lift(pool, SYSTEM, ada["user"]["id"], None)
    await eventually(lambda: node.get("/api/scoreboard"), lambda seen: seen[1]["total_users"] == 2)
    status, problem = await node.get("/api/me", ada["access_token"])
    assert (status, problem["code"]) == (401, "token_invalid")
    after = [await node.get(path) for path in PUBLIC_VIEWS]
    assert [timeless(seen) for seen in after] == [timeless(seen) for seen in before]


PUBLIC_VIEWS = ("/api/scoreboard", "/api/boards/points/around/ada", "/api/boards/points/rank/ada")


def timeless(seen: tuple[int, Any]) -> tuple[int, Any]:
    status, body = seen
    return status, {name: value for name, value in body.items() if name not in ("seq", "as_of")}
