"""Tickets over HTTP: started here, completed there, once, whatever runs beside it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.node import InProcessNode

from laurels.domain.rules import TicketRule
from laurels.domain.tickets import Grant
from laurels.ledger.accounts import sanctions
from laurels.ledger.accounts.accounts import SigningKey
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.access_tokens import new_signing_key
from laurels.web.auth.ticket_signer import TicketSigner

RACE = '{"ticket": {"min_seconds": 0, "max_seconds": 600, "parallel": true}}'
SLOW = '{"ticket": {"min_seconds": 600, "max_seconds": 900}}'
ADD_TYPES = "INSERT INTO action_types (name, base_score, scoring_rules) VALUES ('sprint', 10, $1), ('slow', 10, $2)"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def track(node: InProcessNode) -> InProcessNode:
    """A node with types that ask for tickets."""
    await node.services.pool.execute(ADD_TYPES, RACE, SLOW)
    await node.services.catalogue.refresh()
    return node


async def start(node: InProcessNode, token: str, kind: str = "sprint") -> str:
    status, info = await node.post("/api/actions/start", {"action_type": kind}, token)
    assert status == 201, info
    return info["ticket"]


async def test_a_ticket_says_when_it_is_good(track: InProcessNode) -> None:
    """By the ledger's clock; every start has a challenge of its own; the catalogue says which types ask."""
    token = await track.token()
    _, first = await track.post("/api/actions/start", {"action_type": "slow"}, token)
    _, second = await track.post("/api/actions/start", {"action_type": "slow"}, token)
    began, early, late = (datetime.fromisoformat(first[name]) for name in ("started_at", "not_before", "expires_at"))
    assert ((early - began).total_seconds(), (late - began).total_seconds()) == (600, 900)
    assert len({first["challenge"], second["challenge"], first["ticket"], second["ticket"]}) == 4
    _, types = await track.get("/api/action-types")
    asked = {kind["name"]: kind["ticket"] for kind in types["action_types"] if kind["ticket"]}
    assert asked == {"sprint": {"min_seconds": 0, "max_seconds": 600}, "slow": {"min_seconds": 600, "max_seconds": 900}}


async def test_what_needs_no_ticket_or_does_not_exist_is_not_started(track: InProcessNode) -> None:
    token = await track.token()
    for kind, code in (("lesson", "ticket_not_needed"), ("nothing", "action_type_unknown")):
        status, problem = await track.post("/api/actions/start", {"action_type": kind}, token)
        assert (status, problem["code"]) == (422, code)
    assert (await track.post("/api/actions/start", {"action_type": "sprint"}))[0] == 401


async def test_each_refusal_has_its_code_and_writes_nothing(track: InProcessNode) -> None:
    """Required, forged, another type's, another user's, too early; alone and within a batch."""
    ada, eve = await track.token(), await track.token()
    good, slow = await start(track, ada), await start(track, ada, "slow")
    cases = [
        ("sprint", {}, "ticket_required"),
        ("sprint", {"ticket": good[:-1]}, "ticket_invalid"),
        ("sprint", {"ticket": "lt_x.y"}, "ticket_invalid"),
        ("sprint", {"ticket": slow}, "ticket_invalid"),
        ("sprint", {"ticket": await start(track, eve)}, "ticket_not_yours"),
        ("slow", {"ticket": slow}, "ticket_too_early"),
    ]
    for n, (kind, more, code) in enumerate(cases):
        status, problem = await track.complete(ada, f"a-{n}", kind, **more)
        assert (status, problem["code"]) == (422, code)
    batch = [{"action_type": kind, "action_identifier": f"b-{n}", **more} for n, (kind, more, _) in enumerate(cases)]
    _, answer = await track.post("/api/actions/batch", {"actions": batch}, ada)
    assert [item["code"] for item in answer["results"]] == [code for *_, code in cases]
    assert await track.services.pool.fetchval("SELECT count(*) FROM actions") == 0
    assert (await track.complete(ada, "a-9", "sprint", ticket=good))[0] == 201


async def test_a_used_ticket_gives_its_receipt_to_its_identifier_alone(track: InProcessNode) -> None:
    """A replay with the same ticket: 200; another identifier: used; the same with another ticket: a conflict."""
    token = await track.token()
    ticket = await start(track, token)
    assert (await track.complete(token, "a", "sprint", ticket=ticket))[0] == 201
    status, again = await track.complete(token, "a", "sprint", ticket=ticket)
    assert (status, again["replayed"]) == (200, True)
    status, problem = await track.complete(token, "b", "sprint", ticket=ticket)
    assert (status, problem["code"]) == (422, "ticket_used")
    status, problem = await track.complete(token, "a", "sprint", ticket=await start(track, token))
    assert (status, problem["code"]) == (409, "identifier_conflict")


async def test_a_rotated_key_leaves_tickets_good(track: InProcessNode) -> None:
    """Begun before a rotation, completed after it; new tickets carry the new key."""
    token = await track.token()
    before = await start(track, token)
    await track.services.accounts.rotate_signing_key(*new_signing_key())
    keys = await track.services.accounts.signing_keys()
    track.services.ticket_signer.set_keys(keys)
    after = await start(track, token)
    for n, ticket in enumerate((before, after)):
        assert (await track.complete(token, f"a-{n}", "sprint", ticket=ticket))[0] == 201
    assert kid(before) != kid(after) == keys[-1].kid


def kid(ticket: str) -> str:
    payload = ticket.removeprefix("lt_").split(".")[0]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[0]


def an_office() -> TicketSigner:
    office = TicketSigner()
    office.set_keys([SigningKey(*new_signing_key(), NOW, None)])
    return office


OFFICE = an_office()
TEXT, GRANT, _ = OFFICE.issue(7, 'ra"ce é', TicketRule(min_seconds=1, max_seconds=2), NOW)


def test_a_ticket_reads_back_as_it_was_issued() -> None:
    assert OFFICE.read(TEXT).grant == GRANT
    assert isinstance(GRANT, Grant)
    assert an_office().read(TEXT).grant is None


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="utf-8"))
def test_no_altered_ticket_is_ours(position: int, char: str) -> None:
    """One character changed anywhere, in whatever way."""
    altered = TEXT[:position] + char + TEXT[position + 1 :]
    assert OFFICE.read(altered).grant == (GRANT if altered == TEXT else None)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert OFFICE.read(text).grant is None
    assert OFFICE.read(f"lt_{text}").grant is None


async def test_an_account_elsewhere_starts_nothing_after_a_ban(track: InProcessNode) -> None:
    """A ban ends starting too."""
    ada = await track.register("ada")
    await sanctions.ban(track.services.pool, SYSTEM, ada["user"]["id"], None)
    await track.services.directory.refresh_blocked()
    status, problem = await track.post("/api/actions/start", {"action_type": "sprint"}, ada["access_token"])
    assert (status, problem["code"]) == (403, "banned")
