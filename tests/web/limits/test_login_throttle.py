"""Guessing passwords: bounded per account and in all, silent on which accounts exist; strangers lock no user out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.support.node import PASSWORD, InProcessNode, running_node
from tests.support.redis import RedisServer
from tests.web.admin import call

from laurels import telemetry
from laurels.config import Settings
from laurels.web.limits.login_throttle import network_of


@pytest.fixture
async def guarded(settings: Settings) -> AsyncIterator[InProcessNode]:
    """Three failures a minute and account, thirteen a network, 20 in all; addresses by X-Forwarded-For."""
    limited = replace(settings, account_rate=3, network_rate=13, failure_rate=20, trusted_proxies=1)
    async with running_node(limited) as node:
        yield node


async def login(
    node: InProcessNode, username: str, password: str, address: str = "192.0.2.1"
) -> tuple[int, str | None]:
    body, headers = {"username": username, "password": password}, {"X-Forwarded-For": address}
    async with node.http.post(f"{node.url}/api/auth/login", json=body, headers=headers) as reply:
        answer = await reply.json(content_type=None)
        if reply.status == 429:
            assert int(reply.headers["Retry-After"]) == answer["retry_after"] >= 1
        return reply.status, answer.get("code")


WRONG, LIMITED = (401, "credentials_wrong"), (429, "rate_limited")


async def test_an_account_is_guessed_at_so_often_and_no_more(guarded: InProcessNode) -> None:
    """For every spelling of name and address; and the same answers for an unknown name."""
    await guarded.register("ada")
    for name in ("ada", "stranger"):
        spelt = [name, name.upper(), f" {name}".strip(), name, name]
        answers = [await login(guarded, one, "wrong", f"192.0.2.{n}") for n, one in enumerate(spelt)]
        assert answers == [WRONG] * 3 + [LIMITED] * 2, name


async def test_guesses_at_once_are_counted_before_they_are_answered(guarded: InProcessNode) -> None:
    await guarded.register("ada")
    answers = await asyncio.gather(*(login(guarded, "ada", f"wrong {n}", f"192.0.2.{n}") for n in range(12)))
    assert sorted(answers) == [WRONG] * 3 + [LIMITED] * 9


async def test_the_right_password_costs_nothing(guarded: InProcessNode) -> None:
    """However often a user logs in, from any address."""
    await guarded.register("ada")
    assert [(await login(guarded, "ada", PASSWORD, f"192.0.2.{n}"))[0] for n in range(15)] == [200] * 15


async def test_strangers_lock_no_user_out_of_a_known_address(guarded: InProcessNode) -> None:
    """The account is under attack; from the address of the last log-in it opens, and there guesses count apart."""
    await guarded.register("ada")
    assert (await login(guarded, "ada", PASSWORD, "198.51.100.7"))[0] == 200
    while await login(guarded, "ada", "wrong") != LIMITED:
        pass
    assert await login(guarded, "ada", PASSWORD) == LIMITED
    assert (await login(guarded, "ada", PASSWORD, "198.51.100.7"))[0] == 200
    assert [await login(guarded, "ada", "wrong", "198.51.100.7") for _ in range(4)] == [WRONG] * 3 + [LIMITED]


async def test_a_spray_from_one_network_is_ended_there_and_nowhere_else(guarded: InProcessNode) -> None:
    """One guess per account and address: the network's limit ends it and is counted; those at home there get in."""
    await guarded.register("ada")
    assert (await login(guarded, "ada", PASSWORD, "192.0.2.200"))[0] == 200
    before = _refused("network")
    answers = [await login(guarded, f"victim-{n}", "Summer2026!", f"192.0.2.{n}") for n in range(15)]
    assert answers == [WRONG] * 13 + [LIMITED] * 2
    assert _refused("network") - before == 2
    assert (await login(guarded, "ada", PASSWORD, "192.0.2.200"))[0] == 200
    assert (await login(guarded, "ada", PASSWORD, "198.51.100.7"))[0] == 200


async def test_twenty_addresses_do_not_close_the_door(guarded: InProcessNode) -> None:
    """However much they fail, from all over the world: who comes from a new address to an account in peace gets in."""
    await guarded.register("ada")
    await guarded.register("eve")
    for round_ in range(3):
        for n in range(20):
            await login(guarded, f"victim-{n}-{round_}", "Summer2026!", f"10.0.{n}.1")
    assert (await login(guarded, "ada", PASSWORD, "198.51.100.7"))[0] == 200
    assert await login(guarded, "eve", "a typo", "198.51.100.8") == WRONG
    assert (await login(guarded, "eve", PASSWORD, "198.51.100.9"))[0] == 200


async def test_the_brake_slows_guesses_at_an_account_under_attack(settings: Settings) -> None:
    """While many log-ins fail, an account takes fewer guesses from new addresses, and all of them from known ones."""
    braked = replace(settings, account_rate=4, failure_rate=2, trusted_proxies=1)
    async with running_node(braked) as node:
        await node.register("ada")
        assert (await login(node, "ada", PASSWORD, "198.51.100.7"))[0] == 200
        for n in range(4):
            assert await login(node, f"victim-{n}", "Summer2026!", f"10.0.{n}.1") == WRONG
        assert [await login(node, "ada", "wrong", f"10.1.{n}.1") for n in range(3)] == [WRONG, WRONG, LIMITED]
        assert [await login(node, "ada", "wrong", "198.51.100.7") for _ in range(5)] == [WRONG] * 4 + [LIMITED]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("unknown", None),
    ],
)
def test_addresses_belong_to_networks(address: str, network: str | None) -> None:
    assert network_of(address) == network


async def test_failures_count_over_all_nodes_and_so_do_addresses_known(
    settings: Settings, redis_server: RedisServer
) -> None:
    """Allowances spent at one node are spent at the other; an address known at one is known at the other."""
    shared = replace(
        settings, redis_url=redis_server.url, account_rate=3, network_rate=13, failure_rate=20, trusted_proxies=1
    )
    async with running_node(shared) as here, running_node(shared) as there:
        await here.register("ada")
        assert (await login(here, "ada", PASSWORD, "198.51.100.7"))[0] == 200
        assert [await login(here, "ada", "wrong", f"10.0.{n}.1") for n in range(4)] == [WRONG] * 3 + [LIMITED]
        await _shared(here)
        await login(there, "ada", "wrong", "10.1.0.1")  # granted unseen: then it learns
        await _shared(there)
        assert await login(there, "ada", "wrong", "10.1.1.1") == LIMITED
        assert await login(there, "ada", PASSWORD, "10.1.2.1") == LIMITED
        assert (await login(there, "ada", PASSWORD, "198.51.100.7"))[0] == 200


async def test_without_redis_log_ins_go_on(settings: Settings, own_redis: RedisServer) -> None:
    """Counted by each process, and known to it alone."""
    limited = replace(settings, redis_url=own_redis.url, account_rate=3, trusted_proxies=1)
    async with running_node(limited) as node:
        await node.register("ada")
        await asyncio.to_thread(own_redis.kill)
        assert [await login(node, "ada", "wrong", f"10.0.{n}.1") for n in range(4)] == [WRONG] * 3 + [LIMITED]
        await node.register("eve")
        assert (await login(node, "eve", PASSWORD, "198.51.100.7"))[0] == 200


async def _shared(node: InProcessNode) -> None:
    assert node.parts.shared_limits is not None
    await node.parts.shared_limits.sync()


async def test_what_could_not_be_decided_is_no_guess(guarded: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was too busy to look takes nothing from the allowance."""
    await guarded.register("ada")
    monkeypatch.setattr(guarded.services.passwords._queue, "admitted", 0)
    assert [await login(guarded, "ada", "wrong") for _ in range(9)] == [(503, "overloaded")] * 9
    monkeypatch.undo()
    assert [await login(guarded, "ada", "wrong") for _ in range(4)] == [WRONG] * 3 + [LIMITED]


async def test_a_stolen_token_guesses_no_faster(guarded: InProcessNode) -> None:
    """Erasing an account and changing its password ask for it, and together count wrong ones as the log-in does."""
    token = await guarded.token("ada")
    erase = ("DELETE", "/api/me", {"username": "ada", "password": "wrong"})
    change = ("POST", "/api/me/password", {"password": "wrong", "new_password": "another horse"})
    answers = []
    for method, path, body in (erase, change, erase, change, erase):
        answer = await call(guarded, method, path, token, body)
        answers.append((answer[0], answer[1]["code"]))
    assert answers == [WRONG] * 3 + [LIMITED] * 2


async def test_every_failed_login_does_the_same_work(guarded: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash is checked for a wrong password, an unknown name, an account without a password: no clock can tell."""
    passwords, checked = guarded.services.passwords, []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda stored, given: checked.append(stored) or verify(stored, given))
    await guarded.register("ada")
    await guarded.register("eve")
    await guarded.services.pool.execute("UPDATE users SET password_hash = NULL WHERE username = 'eve'")
    for name in ("ada", "stranger", "eve", "no\0body"):
        assert await login(guarded, name, "wrong") == WRONG
    assert len(checked) == 4
    assert checked[0].startswith("$argon2id$")
    assert checked[1:] == [None] * 3


async def test_registering_does_the_same_work_for_taken_names(
    guarded: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a name is taken can't be hidden, names are on the board; but it costs a hash to ask."""
    passwords, hashed = guarded.services.passwords, []
    work = passwords.hash
    monkeypatch.setattr(passwords, "hash", lambda password: hashed.append(password) or work(password))
    for expected in (201, 409):
        body = {"username": "ada", "password": PASSWORD}
        assert (await guarded.post("/api/auth/register", body))[0] == expected
    assert len(hashed) == 2


def _refused(policy: str) -> float:
    return telemetry.LOGIN_THROTTLED.labels(policy)._value.get()
