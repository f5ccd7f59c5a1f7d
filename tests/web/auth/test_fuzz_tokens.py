"""Token headers, fuzzed: whatever is sent as a token, key, ticket or signature is refused, and nothing breaks.

The short form is part of `make test`, the long one of `make test-slow`. Both are seeded.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.support.issuer import Issuer, by_hand, published, signer
from tests.support.keys import key_on, signature
from tests.support.node import InProcessNode, running_node
from tests.support.raw_http import Wire, connected, request

from laurels.config import Settings
from laurels.domain.errors import Code, LaurelsError
from laurels.domain.rules import TicketRule
from laurels.domain.strict_json import strict_json
from laurels.ledger.accounts.accounts import AccountRecord, SigningKey
from laurels.web.auth.access_tokens import new_signing_key
from laurels.web.auth.ticket_signer import TicketSigner

T = TypeVar("T")
SIZES = [150, pytest.param(5_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]
REFUSALS = {
    Code.TOKEN_INVALID,
    Code.TOKEN_EXPIRED,
    Code.TOKEN_MISSING,
    Code.API_KEY_INVALID,
    Code.SIGNATURE_INVALID,
    Code.SIGNATURE_EXPIRED,
    Code.FORBIDDEN,
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)

any_text = st.text(st.characters(exclude_categories=()), max_size=300)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(int(time.time()) - 400, int(time.time()) + 400),
    st.sampled_from([0, -1, 2**31, 2**53, 2**53 - 1, 253_402_300_799, 253_402_300_800, 10**400]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=40))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@dataclass
class Scene:
    """A node with an outside issuer and a key, and one good specimen of everything that is shown to it."""

    node: InProcessNode
    issuer: Issuer
    account: AccountRecord
    token: str
    key: str
    key_id: int
    secret: str

    def outside(self, **claims: Any) -> str:
        return self.issuer.token("ed", **claims)


@pytest.fixture
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    async with published(Issuer()) as issuer:
        known = json.dumps([issuer.settings(require_typ=False)])
        async with running_node(replace(settings, issuers=known)) as node:
            user = await node.register("ada")
            account = AccountRecord(user["user"]["id"], "ada", "player", "active")
            key_id, key, secret = await key_on(node)
            yield Scene(node, issuer, account, user["access_token"], key, key_id, secret)


def fuzz(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Run `check` on so many examples, the same ones every time."""
    chosen = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    chosen(given(strategy)(check))()


def accepted(verify: Callable[[], T]) -> T | None:
    """Return what `verify` does; None when it refuses, as it may."""
    try:
        return verify()
    except LaurelsError as refusal:
        if refusal.code not in REFUSALS:
            raise AssertionError(f"refused with {refusal.code}") from refusal
    return None


def altered(specimen: str) -> st.SearchStrategy[str]:
    """A good specimen with some of it cut, doubled, moved or replaced."""

    def alter(change: tuple[int, int, str, int]) -> str:
        start, length, put, times = change
        return specimen[:start] + put * times + specimen[start + length :]

    position = st.integers(0, len(specimen))
    return st.tuples(position, st.integers(0, 40), st.text(max_size=6), st.integers(0, 3)).map(alter)


def segments(header: st.SearchStrategy[Any], claims: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """JSON of the two parts that are signed, or bytes that are none."""

    def encoded(part: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
        return part.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)

    return st.tuples(encoded(header), encoded(claims))


def mixed(good: dict[str, Any], *names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A good document, some members of which have other values, or are gone."""
    changes = st.dictionaries(st.sampled_from([*good, *names]), values, max_size=4)
    gone = st.sets(st.sampled_from([*good]), max_size=2)
    return st.tuples(changes, gone).map(
        lambda both: {name: value for name, value in (good | both[0]).items() if name not in both[1]}
    )


@pytest.mark.parametrize("examples", SIZES)
async def test_no_text_is_a_token_or_a_key(scene: Scene, examples: int) -> None:
    """Read as a socket reads it: with any code point, surrogates too."""
    services = scene.node.services
    specimens = [scene.token, scene.outside(), scene.key]

    def check(text: str) -> None:
        if text in specimens:
            return
        caller = accepted(lambda: services.pipeline.authenticator.caller_of_token(text))
        assert caller is None, "only what claims to be of an outside issuer is left to be asked"

    prefixed = st.builds(str.__add__, st.sampled_from(["lk_", f"lk_{scene.key_id}_", "", "ey"]), any_text)
    surrogates = st.text(st.characters(categories=["Cs"]), min_size=1).map(lambda text: f"lk_{scene.key_id}_{text}")
    fuzz(examples, st.one_of(prefixed, surrogates, *map(altered, specimens)), check)


@pytest.mark.parametrize("examples", SIZES)
async def test_no_claims_under_our_own_key_break_the_reader(scene: Scene, examples: int) -> None:
    """Also tokens that only the node can sign: right, or refused."""
    tokens = scene.node.services.tokens
    signing = tokens._signer
    assert signing is not None
    good_header = {"alg": "Ed25519", "typ": "at+jwt", "kid": signing.kid}
    good: dict[str, Any] = {"iss": "laurels", "aud": "laurels", "sub": "1", "name": "ada", "role": "player"}
    good |= {"iat": int(time.time()), "exp": int(time.time()) + 600, "gen": 0, "sid": "x"}

    def check(parts: tuple[bytes, bytes]) -> None:
        token = by_hand(*parts, signing.get_op_key("sign").sign)
        principal = accepted(lambda: tokens.verify(token, token))
        if principal is not None:
            assert strict_json(parts[0])["typ"] == "at+jwt"
            assert principal.generation is not None

    fuzz(examples, segments(mixed(good_header, "crit", "b64"), mixed(good, "nbf")), check)


@pytest.mark.parametrize("examples", SIZES)
async def test_no_claims_of_an_outside_issuer_break_a_node(scene: Scene, examples: int) -> None:
    """Rightly signed, with every member at its extremes: an account, or a refusal that the log explains."""
    external_tokens, loop = scene.node.services.external_tokens, asyncio.get_running_loop()
    sign = signer(scene.issuer.keys["ed"], "EdDSA")
    good_header = {"alg": "EdDSA", "typ": "JWT", "kid": "ed"}

    def check(parts: tuple[bytes, bytes]) -> None:
        token = by_hand(*parts, sign)
        principal = accepted(lambda: asyncio.run_coroutine_threadsafe(external_tokens.verify(token), loop).result(30))
        if principal is not None:
            datetime.fromtimestamp(principal.expires_at, UTC)
            assert principal.ends_at >= time.time() - 1

    good = scene.issuer.claims(name="Ada")
    fuzzed = segments(mixed(good_header, "crit", "jwk", "jku"), mixed(good, "nbf"))
    await asyncio.to_thread(fuzz, examples, fuzzed, check)


@pytest.mark.parametrize("examples", SIZES)
def test_no_text_is_a_ticket(examples: int) -> None:
    office = TicketSigner()
    office.set_keys([SigningKey(*new_signing_key(), NOW, None)])
    good, _, _ = office.issue(7, "sprint", TicketRule(min_seconds=1, max_seconds=2), NOW)
    kid = json.loads(base64.urlsafe_b64decode(good.removeprefix("lt_").partition(".")[0] + "=="))[0]

    def check(text: str) -> None:
        assert office.read(text).grant is None or text == good

    payloads = st.lists(values, max_size=9).map(lambda members: json.dumps([kid, *members]).encode())
    forged = st.builds(
        lambda payload, mac: f"lt_{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{mac}", payloads, any_text
    )
    fuzz(examples, st.one_of(any_text, altered(good), forged), check)


@pytest.mark.parametrize("examples", SIZES)
async def test_no_header_breaks_a_node(scene: Scene, examples: int) -> None:
    """As bytes on the wire: a refusal with a body, no error of ours, and the node answers the next one."""
    loop = asyncio.get_running_loop()
    body = b'{"user": {"id": 1}, "action_type": "lesson", "action_identifier": "a"}'
    signed = signature(scene.key_id, scene.secret, body)
    headers = st.one_of(
        st.tuples(st.just("Authorization"), any_bytes | bearers(scene)),
        st.tuples(st.just("Laurels-Signature"), any_bytes | altered(signed).map(str.encode)),
        st.tuples(st.just("Sec-WebSocket-Protocol"), any_bytes.map(lambda tail: b"laurels.v1, laurels.token." + tail)),
    )

    def check(header: tuple[str, bytes]) -> None:
        status = asyncio.run_coroutine_threadsafe(sent(scene.node, *header, body), loop).result(30)
        assert 400 <= status < 500 or header[1] == signed.encode(), (header, status)

    with capture_logs() as logged:
        await asyncio.to_thread(fuzz, examples, headers, check)
    assert [line for line in logged if line["log_level"] == "error"] == []
    assert (await scene.node.get("/api/me", scene.token))[0] == 200


any_bytes = st.binary(max_size=200).map(lambda data: data.translate(None, b"\r\n\0"))


def bearers(scene: Scene) -> st.SearchStrategy[bytes]:
    """Generate text that looks like a bearer token."""
    specimens = [scene.token, scene.outside(aud="another"), scene.key]
    changed = st.one_of(*(altered(one) for one in specimens)).filter(lambda text: text not in specimens)
    schemes = st.sampled_from(["Bearer ", "bearer ", "Bearer", "Basic ", "Bearer  ", "BEARER\t"])
    clean = changed.map(lambda text: text.replace("\r", "").replace("\n", "").replace("\0", ""))
    return st.builds(
        lambda scheme, text: (scheme + text).encode(), schemes, clean.filter(lambda text: text not in specimens)
    )


_PATHS = {
    "Authorization": ("POST", "/api/server/actions/complete"),
    "Laurels-Signature": ("POST", "/api/server/actions/complete"),
    "Sec-WebSocket-Protocol": ("GET", "/api/live"),
}
_UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def sent(node: InProcessNode, name: str, value: bytes, body: bytes) -> int:
    """The status of a request with one odd header."""
    method, path = _PATHS[name]
    more = _UPGRADE if method == "GET" else {"Content-Type": "application/json"}
    plain = request(method, path, more, body if method == "POST" else b"")
    line, rest = plain.split(b"\r\n", 1)
    async with connected(node.url) as wire:
        return await status_of(wire, b"%b\r\n%b: %b\r\n%b" % (line, name.encode(), value, rest))


async def status_of(wire: Wire, data: bytes) -> int:
    wire.send(data)
    return (await wire.reply()).status
