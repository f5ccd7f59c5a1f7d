"""A node remembers a bounded number of ended log-ins, and forgetting one ends tokens rather than reviving them."""

from __future__ import annotations

import time

import pytest
from tests.support.node import InProcessNode, running_node
from tests.web.auth.logins import log_out_everywhere, login, status_of

from laurels.config import Settings
from laurels.ledger.accounts import revocations as revocations_module
from laurels.ledger.accounts import sessions as sessions_module


async def test_more_logins_that_end_than_a_node_remembers_end_all(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user can't make nodes remember without end."""
    monkeypatch.setattr(sessions_module, "MAX_ENDED", 3)
    await node.register("ada")
    logins = [(await login(node))[1] for _ in range(5)]
    for tokens in logins[:3]:
        await node.post("/api/auth/logout", {"refresh_token": tokens["refresh_token"]})
    assert await status_of(node, logins[4]["access_token"]) == 200
    await node.post("/api/auth/logout", {"refresh_token": logins[3]["refresh_token"]})
    assert await status_of(node, logins[4]["access_token"]) == 401


@pytest.mark.parametrize("ends_all", [True, False])
async def test_a_node_that_starts_with_more_ended_sessions_than_it_remembers_ends_older_tokens(
    node: InProcessNode, settings: Settings, monkeypatch: pytest.MonkeyPatch, ends_all: bool
) -> None:
    """It reads the latest only, and refuses every token as old as those it left out."""
    people = [await node.register() for _ in range(4)]
    for tokens in people[:3]:
        if ends_all:
            await log_out_everywhere(node, tokens)
        else:
            await node.post("/api/auth/logout", {"refresh_token": tokens["refresh_token"]})
    monkeypatch.setattr(revocations_module.Revocations.__init__, "__kwdefaults__", {"limit": 2})
    async with running_node(settings) as started:
        assert len(started.services.revocations.users) <= 2
        assert started.services.revocations.floor > 0
        issued = started.services.tokens._floor
        assert issued == int(started.services.revocations.floor)


async def test_what_is_forgotten_for_want_of_room_ends_tokens_rather_than_revives_them(node: InProcessNode) -> None:
    """Tokens as old as what was forgotten must be refreshed."""
    revocations = node.services.revocations
    people = [await node.register() for _ in range(4)]
    revocations._limit = 2
    for tokens in people[:3]:
        await log_out_everywhere(node, tokens)
    assert len(revocations.users) <= 2
    assert revocations.floor > 0
    node.services.tokens.expire_older(time.time() + 1)  # the next second
    assert [await status_of(node, tokens["access_token"]) for tokens in people] == [401] * 4


async def test_entries_are_dropped_when_no_token_is_left_that_they_end(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, everywhere = await node.register("ada"), await node.register("bob")
    await node.post("/api/auth/logout", {"refresh_token": out["refresh_token"]})
    await log_out_everywhere(node, everywhere)
    revocations = node.services.revocations
    assert len(revocations.users) == 2
    revocations.forget_expired()
    assert len(revocations.users) == 2
    now, clock = time.time(), "laurels.ledger.accounts.revocations.time.time"
    monkeypatch.setattr(clock, lambda: now + node.services.tokens.lifetime + 120)
    revocations.forget_expired()
    assert list(revocations.users) == [everywhere["user"]["id"]]
    monkeypatch.setattr(clock, lambda: now + 90_000)
    revocations.forget_expired()
    assert not revocations.users
