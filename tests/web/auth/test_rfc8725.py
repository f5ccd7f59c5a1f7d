"""JSON Web Token Best Current Practices (RFC 8725), section by section, for tokens of outside issuers and ours."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey
from tests.support.issuer import AUDIENCE, Issuer, b64, by_hand, published, signer
from tests.support.node import InProcessNode, running_node

from laurels.config import Settings
from laurels.ledger.accounts import sanctions
from laurels.ledger.accounts.accounts import AccountRecord
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.external_tokens import MAX_LENGTH

LEEWAY = 60
"""The default of an issuer."""
RS256: dict[str, object] = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}


@dataclass
class Door:
    """A node that knows one issuer with all algorithms, and another one with its own audience and RS256 alone."""

    node: InProcessNode
    issuer: Issuer
    other: Issuer

    async def ask(self, token: str) -> tuple[int, str | None]:
        status, answer = await self.node.get("/api/me", token)
        return status, answer.get("code")

    async def refuses(self, tokens: dict[str, str], code: str = "token_invalid") -> None:
        for name, token in tokens.items():
            assert await self.ask(token) == (401, code), name
        good = self.issuer.token()
        assert await self.ask(good) == (200, None), "the issuer makes good tokens, too"


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    async with published(Issuer()) as issuer, published(Issuer("https://other.example/")) as other:
        entries = [issuer.settings(), other.settings(audience=["theirs"], algorithms=["RS256"])]
        async with running_node(replace(settings, issuers=json.dumps(entries))) as node:
            yield Door(node, issuer, other)


async def test_good_tokens_are_let_in(door: Door) -> None:
    """Every algorithm, either name of EdDSA, either type, several audiences, and unknown headers."""
    issuer = door.issuer
    good = [
        issuer.token("rsa"),
        issuer.token("ec"),
        issuer.token("ed"),
        issuer.token("ed", {"alg": "Ed25519"}),
        issuer.token(header={"typ": "at+jwt"}),
        issuer.token(header={"typ": "application/AT+JWT"}),
        issuer.token(header={"x5t": "x", "something": {"of": "theirs"}}),
        issuer.token(aud=["another", AUDIENCE]),
        issuer.token(nbf=int(time.time()), azp="x", realm_access={"roles": ["admin"]}),
        issuer.token(exp=time.time() + 60.5),
        door.other.token(aud="theirs"),
    ]
    for token in good:
        assert await door.ask(token) == (200, None)


async def test_3_1_the_algorithm_is_verified_not_believed(door: Door) -> None:
    """The issuer's setting says what may sign; a key is used with its own algorithm and no other."""
    issuer = door.issuer
    rsa, ec = issuer.keys["rsa"], issuer.keys["ec"]
    await door.refuses(
        {
            "not allowed for this issuer": door.other.token("ec", aud="theirs"),
            "ES256 by name, RS256 by key": by_hand(RS256 | {"alg": "ES256"}, issuer.claims(), signer(rsa, "RS256")),
            "RS256 by name, ES256 by key": by_hand(RS256 | {"kid": "ec"}, issuer.claims(), signer(ec, "ES256")),
            "PS256 with the same key": by_hand(RS256 | {"alg": "PS256"}, issuer.claims(), signer(rsa, "PS256")),
            "RS512 with the same key": by_hand(RS256 | {"alg": "RS512"}, issuer.claims(), signer(rsa, "RS512")),
            "RS512, called RS256": by_hand(RS256, issuer.claims(), signer(rsa, "RS512")),
            "lower case": by_hand(RS256 | {"alg": "rs256"}, issuer.claims(), signer(rsa, "RS256")),
            "no algorithm": by_hand({"typ": "JWT", "kid": "rsa"}, issuer.claims(), signer(rsa, "RS256")),
            "a list": by_hand(RS256 | {"alg": ["RS256"]}, issuer.claims(), signer(rsa, "RS256")),
            "null": by_hand(RS256 | {"alg": None}, issuer.claims(), signer(rsa, "RS256")),
        }
    )


async def test_3_1_a_public_key_is_no_hmac_secret(door: Door) -> None:
    """HS256 with what everybody can read: as PEM, as DER, as the JWK's text or its numbers."""
    rsa, claims = door.issuer.keys["rsa"], door.issuer.claims()
    public = rsa.as_dict(private=False)
    secrets = {
        "PEM": rsa.as_pem(private=False),
        "DER": rsa.as_der(private=False),
        "JSON": json.dumps(public).encode(),
        "modulus": str(public["n"]).encode(),
    }

    def mac(secret: bytes, alg: str) -> str:
        return by_hand(RS256 | {"alg": alg}, claims, lambda text: hmac.digest(secret, text, hashlib.sha256))

    for alg in ("HS256", "RS256"):
        await door.refuses({name: mac(secret, alg) for name, secret in secrets.items()})


async def test_3_2_none_is_no_algorithm(door: Door) -> None:
    """In any spelling, with and without a signature."""
    claims = door.issuer.claims()
    sign = signer(door.issuer.keys["rsa"], "RS256")
    tokens = {}
    for alg in ("none", "None", "NONE", "nOnE", ""):
        tokens[f"{alg}, unsigned"] = by_hand(RS256 | {"alg": alg}, claims, lambda _: b"")
        tokens[f"{alg}, signed"] = by_hand(RS256 | {"alg": alg}, claims, sign)
    tokens["RS256, unsigned"] = by_hand(RS256, claims, lambda _: b"")
    await door.refuses(tokens)


async def test_3_3_every_signature_is_checked(door: Door) -> None:
    """Altered head, payload or signature; signatures of zeros; another's; too long; spelt otherwise."""
    good = door.issuer.token("ec")
    head, payload, signature = good.split(".")
    claims = b64(json.dumps(door.issuer.claims("victim")).encode())
    stranger = RSAKey.generate_key(2048)
    await door.refuses(
        {
            "other claims": f"{head}.{claims}.{signature}",
            "other head": f"{b64(json.dumps(RS256).encode())}.{payload}.{signature}",
            "zeros": f"{head}.{payload}.{b64(bytes(64))}",
            "DER instead of r and s": f"{head}.{payload}.{b64(bytes.fromhex('3006020101020101'))}",
            "longer": f"{head}.{payload}.{b64(bytes(65))}",
            "padding": good + "==",
            "a space": good.replace(".", " .", 1),
            "the other alphabet": f"{head}.{payload}.+/{signature[2:]}",
            "two parts": f"{head}.{payload}",
            "four parts": f"{good}.{signature}",
            "another's key under the same kid": by_hand(RS256, door.issuer.claims(), signer(stranger, "RS256")),
        }
    )


async def test_3_4_what_is_no_point_on_the_curve_is_no_key(door: Door) -> None:
    """A key set with invalid, private or half keys: they are left out, the rest is used."""
    issuer = door.issuer
    public = issuer.keys["ec"].as_dict(private=False)
    off_curve = public | {"kid": "off", "y": b64(bytes(31) + b"\1")}
    odd = [
        off_curve,
        {"kty": "EC", "crv": "P-256", "kid": "half", "x": public["x"]},
        {"kty": "RSA", "kid": "x"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AA"},
        {"kty": "RSA", "kid": 7, "n": 1, "e": []},
        issuer.keys["ed"].as_dict(private=True) | {"kid": "private"},
        "a word",
        None,
    ]
    issuer.reply = lambda: _json({"keys": odd + issuer.document()["keys"]})
    sign = signer(issuer.keys["ec"], "ES256")
    ed = signer(issuer.keys["ed"], "EdDSA")
    tokens = {
        kid: by_hand({"alg": "ES256", "typ": "JWT", "kid": kid}, issuer.claims(), sign) for kid in ("off", "half", "x")
    }
    tokens["private"] = by_hand({"alg": "EdDSA", "typ": "JWT", "kid": "private"}, issuer.claims(), ed)
    await door.refuses(tokens)


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_3_5_weak_keys_are_not_used(door: Door) -> None:
    """RSA below 2,048 bits, symmetric keys in a key set, keys meant for something else."""
    issuer = door.issuer
    weak, strong = RSAKey.generate_key(1024), RSAKey.generate_key(2048)
    secret = OctKey.import_key("correct horse battery staple")
    entries = [
        weak.as_dict(private=False) | {"kid": "weak"},
        secret.as_dict(private=True) | {"kid": "secret"},
        strong.as_dict(private=False) | {"kid": "enc", "use": "enc"},
        strong.as_dict(private=False) | {"kid": "ops", "key_ops": ["encrypt"]},
        strong.as_dict(private=False) | {"kid": "alg", "alg": "RS512"},
    ]
    issuer.reply = lambda: _json({"keys": entries + issuer.document()["keys"]})
    tokens = {
        kid: by_hand(RS256 | {"kid": kid}, issuer.claims(), signer(key, "RS256"))
        for kid, key in (("weak", weak), ("enc", strong), ("ops", strong), ("alg", strong))
    }
    header = {"alg": "HS256", "typ": "JWT", "kid": "secret"}
    tokens["secret"] = by_hand(header, issuer.claims(), signer(secret, "HS256"))
    await door.refuses(tokens)


async def test_3_6_nothing_is_decrypted_or_unpacked(door: Door) -> None:
    """Encrypted and compressed tokens are not access tokens, so they can't hold a bomb."""
    secret = OctKey.generate_key(256)
    header = {"alg": "dir", "enc": "A128CBC-HS256", "zip": "DEF", "iss": door.issuer.name}
    packed = jwe.encrypt_compact(header, json.dumps(door.issuer.claims()), secret, registry=_lenient())
    await door.refuses(
        {"encrypted": packed, "zip": door.issuer.token(header={"zip": "DEF"}, pad="x" * (MAX_LENGTH * 3 // 4))}
    )


async def test_3_7_only_utf_8_json_without_duplicates_is_read(door: Door) -> None:
    """Other encodings, broken ones, duplicate members in head and claims, and nesting without end."""
    sign, claims = signer(door.issuer.keys["rsa"], "RS256"), json.dumps(door.issuer.claims())
    twice = claims[:-1] + ', "sub": "victim"}'
    again = claims[:-1] + f', "iss": "{door.other.name}"' + "}"
    await door.refuses(
        {
            "UTF-16": by_hand(RS256, claims.encode("utf-16"), sign),
            "broken UTF-8": by_hand(RS256, claims.replace("user-1", "user-\xff").encode("latin-1"), sign),
            "a byte order mark": by_hand(RS256, b"\xef\xbb\xbf" + claims.encode(), sign),
            "subject twice": by_hand(RS256, twice.encode(), sign),
            "issuer twice": by_hand(RS256, again.encode(), sign),
            "algorithm twice": by_hand(b'{"alg":"none","typ":"JWT","kid":"rsa","alg":"RS256"}', claims.encode(), sign),
            "an array": by_hand(RS256, [door.issuer.claims()], sign),
            "a head that is null": by_hand(None, door.issuer.claims(), sign),
            "deep": by_hand(RS256, b'{"iss":"%s","a":%s' % (door.issuer.name.encode(), b"[" * 4_000), sign),
            "too long": door.issuer.token(pad="x" * (MAX_LENGTH * 3 // 4)),
            "NaN": by_hand(RS256, claims.replace('"aud"', '"x": NaN, "aud"').encode(), sign),
        }
    )


async def test_3_8_issuer_and_subject_are_what_they_must_be(door: Door) -> None:
    """The issuer to the letter, with its own keys; a subject that is text; users of two issuers are two users."""
    issuer = door.issuer
    await door.refuses(
        {
            "no slash at the end": issuer.token(iss="https://id.example"),
            "upper case": issuer.token(iss="HTTPS://ID.EXAMPLE/"),
            "a list": issuer.token(iss=[issuer.name]),
            "none": issuer.token(without="iss"),
            "ours": issuer.token(iss="laurels"),
            "signed by the other issuer": issuer.token(iss=door.other.name, aud="theirs"),
            "no subject": issuer.token(without="sub"),
            "an empty subject": issuer.token(subject=""),
            "a number": issuer.token(sub=7),
            "null": issuer.token(sub=None),
            "too long a subject": issuer.token(subject="x" * 256),
            "control characters": issuer.token(subject="a\0b"),
        }
    )
    _, here = await door.node.get("/api/me", issuer.token(subject="1"))
    _, there = await door.node.get("/api/me", door.other.token(subject="1", aud="theirs"))
    ours = await door.node.register()
    assert len({here["user"]["id"], there["user"]["id"], ours["user"]["id"]}) == 3


async def test_3_9_the_audience_is_us(door: Door) -> None:
    await door.refuses(
        {
            "another": door.issuer.token(aud="another"),
            "others": door.issuer.token(aud=["a", "b"]),
            "none": door.issuer.token(without="aud"),
            "empty": door.issuer.token(aud=[]),
            "null": door.issuer.token(aud=None),
            "in an object": door.issuer.token(aud={AUDIENCE: 1}),
            "in a list of lists": door.issuer.token(aud=[[AUDIENCE]]),
            "a part of it": door.issuer.token(aud=AUDIENCE[:-1]),
            "of another issuer": door.other.token(aud=AUDIENCE),
        }
    )


async def test_3_10_nothing_in_a_token_leads_elsewhere(door: Door) -> None:
    """Keys and addresses in a token are not looked at: no request leaves, no path is opened, no query is bent."""
    stranger = RSAKey.generate_key(2048)
    sign = signer(stranger, "RS256")
    public = stranger.as_dict(private=False)
    trap = door.issuer.url.replace("/jwks.json", "/elsewhere")
    claims = door.issuer.claims()
    assert await door.ask(door.issuer.token()) == (200, None)
    asked = door.issuer.asked
    headers: dict[str, dict[str, object]] = {
        "jwk": {"jwk": public},
        "jku": {"jku": trap},
        "x5u": {"x5u": trap},
        "x5c": {"x5c": ["MIIB"]},
        "kid as a path": {"kid": "../../../dev/null"},
        "kid as SQL": {"kid": "' OR 1=1 --"},
        "kid as an address": {"kid": trap},
        "kid too long": {"kid": "x" * 300},
        "kid as a number": {"kid": 7},
        "kid as a list": {"kid": ["rsa"]},
        "an empty kid": {"kid": ""},
    }
    tokens = {name: by_hand(RS256 | header, claims, sign) for name, header in headers.items()}
    tokens["crit"] = door.issuer.token(header={"crit": ["exp"], "exp": 1})
    tokens["crit, unknown"] = door.issuer.token(header={"crit": ["b64"], "b64": False})
    tokens["crit, empty"] = door.issuer.token(header={"crit": []})
    await door.refuses(tokens)
    assert door.issuer.asked <= asked + 1, "one look for unknown keys at most, at the set's own address"


async def test_3_10_a_role_in_a_token_is_no_role(door: Door) -> None:
    """Roles in a token do not make admins here; only the ledger does."""
    token = door.issuer.token(role="admin", roles=["admin"], scope="admin:write")
    status, me = await door.node.get("/api/me", token)
    assert (status, me["user"]["role"]) == (200, "player")
    assert (await door.node.post("/api/admin/index/verify", {}, token))[0] == 403
    await door.node.services.user_editor.set_role(me["user"]["id"], "admin", SYSTEM)
    assert (await door.node.post("/api/admin/index/verify", {}, door.issuer.token(x=1)))[0] == 200


async def test_3_11_a_token_says_what_it_is(door: Door) -> None:
    """ID tokens, logout tokens and proofs of possession carry types of their own; without a type it is nothing."""
    kinds = ("logout+jwt", "dpop+jwt", "secevent+jwt", "", "J")
    tokens = {kind: door.issuer.token(header={"typ": kind}) for kind in kinds}
    tokens["a number"] = door.issuer.token(header={"typ": 7})
    tokens["none"] = by_hand(
        {"alg": "RS256", "kid": "rsa"}, door.issuer.claims(), signer(door.issuer.keys["rsa"], "RS256")
    )
    await door.refuses(tokens)


async def test_3_12_no_token_passes_for_one_of_another_kind(door: Door) -> None:
    """Ours are not theirs, theirs are not ours, and a key of one does not sign for the other."""
    node, issuer = door.node, door.issuer
    user = (await node.register("ada"))["user"]
    own = node.services.tokens._signer
    assert own is not None
    now = int(time.time())
    ours = {"iss": "laurels", "aud": "laurels", "sub": str(user["id"]), "name": "ada", "role": "admin"}
    times = {"iat": now, "exp": now + 600}
    theirs = {"alg": "EdDSA", "typ": "at+jwt", "kid": own.kid}
    await door.refuses(
        {
            "our claims, their key": by_hand(
                {"alg": "Ed25519", "typ": "at+jwt", "kid": "ed"}, ours | times, signer(issuer.keys["ed"], "EdDSA")
            ),
            "their claims, our key": by_hand(theirs, issuer.claims(), own.get_op_key("sign").sign),
            "our claims to their audience": by_hand(
                {"alg": "Ed25519", "typ": "at+jwt", "kid": own.kid},
                ours | times | {"aud": AUDIENCE},
                own.get_op_key("sign").sign,
            ),
        }
    )
    good = node.services.tokens.issue(AccountRecord(user["id"], "ada", "player", "active"))
    assert await door.ask(good) == (200, None)


async def test_times_are_kept(door: Door) -> None:
    """Expired, not good yet, issued in the future, or with times that are not numbers."""
    now, issuer = int(time.time()), door.issuer
    expired = {"long ago": issuer.token(exp=1), "just now": issuer.token(exp=now - LEEWAY - 1)}
    await door.refuses(expired, "token_expired")
    await door.refuses(
        {
            "no expiry": issuer.token(without="exp"),
            "null": issuer.token(exp=None),
            "text": issuer.token(exp=str(now + 600)),
            "true": issuer.token(exp=True),
            "a list": issuer.token(exp=[now + 600]),
            "beyond all numbers": issuer.token(exp=10**400),
            "negative": issuer.token(exp=-1),
            "not good yet": issuer.token(nbf=now + 2 * LEEWAY),
            "issued in the future": issuer.token(iat=now + 2 * LEEWAY),
            "nbf as text": issuer.token(nbf="0"),
        }
    )


async def test_a_remembered_token_ends_with_its_time_and_its_ban(door: Door) -> None:
    token = door.issuer.token(exp=time.time() - LEEWAY + 1)
    status, me = await door.node.get("/api/me", token)
    assert status == 200
    _, until = door.node.services.external_tokens._checked[token]
    assert until <= time.time() + 1
    other = door.issuer.token(subject="user-2")
    _, me = await door.node.get("/api/me", other)
    await sanctions.ban(door.node.services.pool, SYSTEM, me["user"]["id"], None)
    await door.node.services.directory.refresh_blocked()
    assert await door.ask(other) == (403, "banned")
    fresh = door.issuer.token(subject="user-2", iat=int(time.time()) + 2)  # those from before the ban have ended
    assert await door.ask(fresh) == (403, "banned")


def _json(value: Any) -> Any:
    from aiohttp import web

    return web.json_response(value)


def _lenient() -> Any:
    return jwe.JWERegistry(algorithms=["dir", "A128CBC-HS256", "DEF"], strict_check_header=False)
