"""Users of external issuers: their first token opens an account, which never takes over another's name."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey
from structlog.testing import capture_logs
from tests.live.screens import open_screen
from tests.live.test_submitting import speaking
from tests.support.issuer import Issuer, by_hand, knowing, signer
from tests.support.keys import key_on
from tests.support.node import InProcessNode, running_node

from laurels.config import ConfigError, Settings, load
from laurels.domain.names import MAX_LENGTH, external_names
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.issuers import parse_issuers

GOOD = {
    "issuer": "https://id.example/",
    "audience": "a",
    "algorithms": ["RS256"],
    "jwks_url": "https://id.example/keys",
}


async def name_of(node: InProcessNode, token: str) -> str:
    status, me = await node.get("/api/me", token)
    assert status == 200, me
    return me["user"]["username"]


async def test_who_logs_in_elsewhere_plays_here(door: InProcessNode, issuer: Issuer) -> None:
    """At first sight an account under the name that the issuer gives; later the same account, whatever the token."""
    token = issuer.token(name="Ada Lovelace")
    assert (await door.complete(token, "a-1"))[0] == 201
    assert await name_of(door, issuer.token("ec", name="Another Person")) == "Ada Lovelace"
    _, board = await door.get("/api/scoreboard")
    assert [row["username"] for row in board["rows"]] == ["Ada Lovelace"]


async def test_no_name_is_taken_over(door: InProcessNode, issuer: Issuer) -> None:
    """A taken name, and a look-alike of it, get a mark behind them; the account with the name is left alone."""
    ada = await door.register("Ada")
    for n, wanted in enumerate(("Ada", "ADA", "Αda", "Ada")):  # noqa: RUF001  a Greek capital alpha
        name = await name_of(door, issuer.token(subject=f"s{n}", name=wanted))
        assert name.startswith(f"{wanted}-"), name
        assert len(name) == len(wanted) + 5
    assert await name_of(door, ada["access_token"]) == "Ada"
    status, problem = await door.post("/api/auth/login", {"username": name, "password": "correct horse battery"})
    assert (status, problem["code"]) == (401, "credentials_wrong"), "such an account has no password"


async def test_a_name_that_is_none_here_gives_a_made_up_one(door: InProcessNode, issuer: Issuer) -> None:
    for n, odd in enumerate(("", "\u202eevil", "x\0y", 7, None, ["Ada"], {"a": 1})):
        assert (await name_of(door, issuer.token(subject=f"s{n}", name=odd))).startswith("player-"), odd
    assert (await name_of(door, issuer.token(subject="short", name="a"))).startswith("a-")
    assert await name_of(door, issuer.token(subject="long", name="x" * 100)) == "x" * MAX_LENGTH


@given(st.none() | st.text(max_size=60), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_there_is_always_a_name_and_it_is_always_valid(wanted: str | None, mark: str) -> None:
    """Names are valid and distinct, and the last ones are a random mark."""
    names = external_names(wanted, mark)
    assert names[-1].display.startswith("player-")
    assert len({name.fold for name in names}) == len(names)
    assert all(3 <= len(name.display) <= MAX_LENGTH for name in names)


async def test_two_nodes_that_see_a_subject_at_once_open_one_account(
    door: InProcessNode, settings: Settings, issuer: Issuer
) -> None:
    """Twenty first requests over two nodes, each with a token of its own: one id, one row."""
    async with running_node(knowing(settings, issuer)) as other:
        tokens = [issuer.token(name="Ada", n=n) for n in range(20)]
        asked = [(door, other)[n % 2].get("/api/me", token) for n, token in enumerate(tokens)]
        answers = await asyncio.gather(*asked)
    assert {status for status, _ in answers} == {200}
    assert len({me["user"]["id"] for _, me in answers}) == 1
    assert await door.services.pool.fetchval("SELECT count(*) FROM users WHERE external_subject IS NOT NULL") == 1


async def test_two_people_of_one_name_get_two_accounts_at_once(door: InProcessNode, issuer: Issuer) -> None:
    tokens = [issuer.token(subject=f"s{n}", name="Ada") for n in range(20)]
    names = await asyncio.gather(*(name_of(door, token) for token in tokens))
    assert len(set(names)) == 20
    assert names.count("Ada") == 1


async def test_a_server_names_such_a_user_by_its_subject(door: InProcessNode, issuer: Issuer) -> None:
    await name_of(door, issuer.token(subject="s1"))
    _, key, _ = await key_on(door)
    body = {"action_type": "lesson", "action_identifier": "a", "user": {"issuer": issuer.name, "subject": "s1"}}
    assert (await door.post("/api/server/actions/complete", body, key))[0] == 201


# -- tokens as other providers make them


def id_token(issuer: Issuer, **claims: Any) -> str:
    """A token of npm `oidc-provider`, byte for byte in its header: no `typ`."""
    header = b'{"alg":"RS256","kid":"rsa"}'
    return by_hand(header, issuer.claims(**claims), signer(issuer.keys["rsa"], "RS256"))


async def test_tokens_without_a_type_are_accepted_if_the_issuer_is_said_to_make_such(
    settings: Settings, issuer: Issuer
) -> None:
    """As ID tokens of oidc-provider, Cognito and Okta; a type that is there must still be right."""
    async with running_node(knowing(settings, issuer, require_typ=False)) as node:
        assert (await node.get("/api/me", id_token(issuer)))[0] == 200
        assert (await node.get("/api/me", issuer.token()))[0] == 200
        for typ in ("dpop+jwt", "", None, 7):
            status, problem = await node.get("/api/me", issuer.token(header={"typ": typ}))
            assert (status, problem["code"]) == (401, "token_invalid"), typ


async def test_by_default_a_type_is_required(door: InProcessNode, issuer: Issuer) -> None:
    with capture_logs() as logged:
        assert (await door.get("/api/me", id_token(issuer)))[0] == 401
    (line,) = refusals(logged)
    assert (line["check"], line["issuer"]) == ("typ", issuer.name)
    assert "require_typ" in line["detail"]


@pytest.mark.parametrize("leeway", [0, 60, 300])
async def test_clocks_may_differ_by_the_leeway_of_the_issuer(settings: Settings, issuer: Issuer, leeway: int) -> None:
    now = int(time.time())
    async with running_node(knowing(settings, issuer, leeway=leeway)) as node:
        soon, late = now + leeway - 30, now + leeway + 30
        within: list[dict[str, Any]] = [{"exp": now - leeway + 30}, {"nbf": soon}, {"iat": soon}]
        beyond: list[dict[str, Any]] = [{"exp": now - leeway - 1}, {"nbf": late}, {"iat": late}]
        for claims in within if leeway else ({},):
            assert (await node.get("/api/me", issuer.token(**claims)))[0] == 200, claims
        for claims in beyond:
            assert (await node.get("/api/me", issuer.token(**claims)))[0] == 401, claims


async def test_the_default_leeway_is_a_minute(door: InProcessNode, issuer: Issuer) -> None:
    now = int(time.time())
    assert (await door.get("/api/me", issuer.token(exp=now - 30, iat=now - 90)))[0] == 200
    async with speaking(door, issuer.token(exp=now - 20, iat=now - 90)) as screen:
        assert (await screen.ask("ping"))["type"] == "pong", "a socket lasts as long as the token is accepted"


def refusals(logged: list[Any]) -> list[Any]:
    return [line for line in logged if line["event"] == "external token refused"]


async def test_the_log_says_which_check_a_token_failed(door: InProcessNode, issuer: Issuer) -> None:
    """Each by its name, without the token and at one line each."""
    strangers = signer(RSAKey.generate_key(2048), "RS256")
    good = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
    tokens = {
        "issuer": issuer.token(iss="https://elsewhere.example/"),
        "algorithm": issuer.token(header={"alg": "HS256"}),
        "crit": issuer.token(header={"crit": []}),
        "typ": issuer.token(header={"typ": "dpop+jwt"}),
        "kid": issuer.token(header={"kid": 7}),
        "key": issuer.token(header={"kid": "unknown"}),
        "signature": by_hand(good, issuer.claims(), strangers),
        "exp": issuer.token(exp=1),
        "nbf": issuer.token(nbf=2**40),
        "iat": issuer.token(iat=2**40),
        "audience": issuer.token(aud="another"),
        "subject": issuer.token(sub=7),
        "form": by_hand(good, b'{"iss": "https://id.example/", "iss": "https://id.example/"}', strangers),
        "length": issuer.token(padding="x" * 4_700),
    }
    for check, token in tokens.items():
        with capture_logs() as logged:
            assert (await door.get("/api/me", token))[0] == 401, check
        (line,) = refusals(logged)
        assert line["check"] == check, line
        assert token.split(".")[1] not in str(logged)


async def test_a_flood_of_bad_tokens_does_not_fill_the_log(door: InProcessNode, issuer: Issuer) -> None:
    """Ten lines of a kind, then one in six seconds that says how many were left out."""
    with capture_logs() as logged:
        for n in range(40):
            await door.get("/api/me", issuer.token(aud=f"another-{n}"))
        for n in range(40):
            await door.get("/api/me", issuer.token(iss=f"https://{n}.example/"))
    assert len(refusals(logged)) <= 22
    door.services.external_tokens._refusals._budgets[issuer.name, "audience"].lines = 1
    with capture_logs() as logged:
        await door.get("/api/me", issuer.token(aud="one more"))
    assert refusals(logged)[0]["not_logged"] >= 28


async def test_an_expiry_in_milliseconds_is_far_away_and_no_error(door: InProcessNode, issuer: Issuer) -> None:
    """Over HTTP and on a socket, which says when it ends."""
    token = issuer.token(exp=int(time.time() * 1000) * 1000)
    assert (await door.get("/api/me", token))[0] == 200
    async with speaking(door, token) as screen:
        assert (await screen.ask("ping"))["type"] == "pong"


# -- who may register


async def test_closed_registration_closes_it_for_outside_issuers_too(door: InProcessNode, issuer: Issuer) -> None:
    """New subjects are refused; those who have an account come in."""
    old = issuer.token(subject="old")
    assert (await door.get("/api/me", old))[0] == 200
    await door.services.live_settings.change({"registration_open": False}, SYSTEM)
    with capture_logs() as logged:
        status, problem = await door.get("/api/me", issuer.token(subject="new"))
    assert (status, problem["code"]) == (403, "registration_closed")
    assert refusals(logged)[0]["check"] == "registration"
    async with open_screen(door) as screen:
        assert (await screen.ask("authenticate", token=issuer.token(subject="new")))["code"] == "registration_closed"
    assert (await door.get("/api/me", issuer.token(subject="old", n=1)))[0] == 200
    assert await door.services.pool.fetchval("SELECT count(*) FROM users WHERE external_subject = 'new'") == 0
    await door.services.live_settings.change({"registration_open": True}, SYSTEM)
    assert (await door.get("/api/me", issuer.token(subject="new")))[0] == 200


async def test_an_issuer_may_register_its_subjects_all_the_same(settings: Settings, issuer: Issuer) -> None:
    async with running_node(knowing(settings, issuer, registers_when_closed=True)) as node:
        await node.services.live_settings.change({"registration_open": False}, SYSTEM)
        assert (await node.get("/api/me", issuer.token()))[0] == 200
        status, problem = await node.post(
            "/api/auth/register", {"username": "bob", "password": "correct horse battery"}
        )
        assert (status, problem["code"]) == (403, "registration_closed")


async def test_names_that_stand_in_for_a_taken_one_cannot_be_registered_first(
    door: InProcessNode, issuer: Issuer
) -> None:
    """They are random: knowing issuer and subject is not enough to compute them and lock their owner out."""
    mark = hashlib.sha256(f"{issuer.name}\0s1".encode()).hexdigest()
    derived = external_names("Ada", mark)
    for taken in derived:
        await door.register(taken.display)
    name = await name_of(door, issuer.token(subject="s1", name="Ada"))
    assert name.startswith("Ada-")
    assert name not in [one.display for one in derived]


WRONG: list[tuple[Any, str]] = [
    ("{", "LAURELS_ISSUERS: "),
    ([GOOD | {"issuer": "laurels"}], "own tokens"),
    ([GOOD, GOOD], "listed twice"),
    ([GOOD | {"algorithms": ["HS256"]}], "$[0].algorithms[0]"),
    ([GOOD | {"algorithms": ["none"]}], "$[0].algorithms[0]"),
    ([GOOD | {"algorithms": []}], "$[0].algorithms"),
    ([GOOD | {"audience": ""}], "$[0].audience"),
    ([GOOD | {"audience": []}], "$[0].audience"),
    ([GOOD | {"nonsense": 1}], "nonsense"),
    ([GOOD | {"require_typ": "no"}], "require_typ"),
    ([GOOD | {"leeway": -1}], "leeway"),
    ([GOOD | {"leeway": 3_600}], "leeway"),
    ([GOOD | {"jwks_file": "x"}], "jwks_url or jwks_file"),
    ([GOOD | {"jwks_url": None}], "jwks_url or jwks_file"),
    ([GOOD | {"jwks_url": "http://id.example/keys"}], "https"),
    ([GOOD | {"jwks_url": "http://10.0.0.1/keys"}], "https"),
    ([GOOD | {"jwks_url": "http://localhost.example/keys"}], "https"),
    ([GOOD | {"jwks_url": "file:///etc/passwd"}], "https"),
    ([GOOD | {"jwks_url": "https://user:secret@id.example/"}], "https"),
    ([GOOD | {"jwks_url": "https:///keys"}], "https"),
    ([GOOD | {"issuer": f"https://{n}.example/"} for n in range(17)], "at most 16"),
]


@pytest.mark.parametrize(("document", "words"), WRONG)
def test_a_setting_that_is_wrong_keeps_the_node_from_starting(document: Any, words: str) -> None:
    """One line that names what is wrong."""
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(ConfigError) as caught:
        load({"LAURELS_ISSUERS": text})
    assert words in str(caught.value)


def test_loopback_addresses_may_be_plain() -> None:
    for url in ("http://localhost:9/k", "http://127.0.0.1/k", "http://[::1]:80/k", "https://id.example/k"):
        assert parse_issuers(json.dumps([GOOD | {"jwks_url": url}]))[0].jwks_url == url
