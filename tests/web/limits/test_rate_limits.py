"""Rates: never more than was promised, a key for each user and address, and the reply says how long to wait."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.node import InProcessNode, running_node
from tests.support.raw_http import Reply, exchange, request

from laurels.config import Settings
from laurels.web.limits.rate_limit import MINUTE, RateLimit

HITS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12)), min_size=1, max_size=60)


def granted(limit: RateLimit, hits: list[tuple[float, int]], start: float) -> list[tuple[float, int]]:
    """(time, cost) of the hits that were let through; each comes so many seconds after the one before."""
    now, passed = start, []
    for gap, cost in hits:
        now += gap
        if not limit.hit("k", now, cost).refused:
            passed.append((now, min(cost, limit._limit)))
    return passed


@given(hits=HITS, per_minute=st.integers(1, 20), start=st.floats(1, 1e7))
def test_no_interval_sees_more_than_the_burst_and_what_flows_back(
    hits: list[tuple[float, int]], per_minute: int, start: float
) -> None:
    """In any stretch of t seconds at most the allowance and rate x t."""
    passed = granted(RateLimit("p", per_minute), hits, start)
    for first, (since, _) in enumerate(passed):
        total = 0
        for now, cost in passed[first:]:
            total += cost
            assert total <= per_minute * (1 + (now - since) / MINUTE) + 1e-3


class TokenBucket:
    """The textbook's other form of the same algorithm."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.size = self.level = float(per_minute)
        self.now = now

    def hit(self, now: float, cost: int) -> bool:
        self.level = min(self.size, self.level + (now - self.now) * self.size / MINUTE)
        self.now = now
        cost = min(cost, int(self.size))
        if self.level < cost - 1e-6 * self.size:
            return False
        self.level = max(0.0, self.level - cost)
        return True


@given(hits=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=60), per_minute=st.integers(1, 20))
def test_it_decides_as_a_token_bucket_does(hits: list[tuple[int, int]], per_minute: int) -> None:
    limit, bucket, now = RateLimit("p", per_minute), TokenBucket(per_minute, 1000.0), 1000.0
    for gap, cost in hits:
        now += gap
        allowance, passed = limit.hit("k", now, cost), bucket.hit(now, cost)
        assert allowance.refused != passed
        assert abs(allowance.remaining - bucket.level) <= 1 + 1e-6


@given(hits=HITS, per_minute=st.integers(1, 20))
def test_waiting_as_told_is_enough_and_not_too_long(hits: list[tuple[float, int]], per_minute: int) -> None:
    """A refused hit passes after `retry_after`, and not a second earlier; a refusal costs nothing."""
    limit, now = RateLimit("p", per_minute), 1000.0
    for gap, cost in hits:
        now += gap
        allowance = limit.hit("k", now, cost)
        if allowance.retry_after is not None:
            assert 0 < allowance.retry_after <= MINUTE + 1e-6
            if allowance.retry_after > 1:
                assert limit.hit("k", now + allowance.retry_after - 1, cost).refused
            now += allowance.retry_after
            assert not limit.hit("k", now, cost).refused


def test_one_key_does_not_pay_for_another() -> None:
    limit = RateLimit("p", 2)
    assert [limit.hit("a", 100.0).refused for _ in range(3)] == [False, False, True]
    assert [limit.hit("b", 100.0).refused for _ in range(3)] == [False, False, True]


def test_memory_is_bounded_by_forgetting_the_oldest_key() -> None:
    """A forgotten key starts afresh; the others are still counted."""
    limit = RateLimit("p", 1, keys=2)
    for key in ("a", "b", "c"):
        assert not limit.hit(key, 100.0).refused
    assert len(limit._tat) == 2
    assert limit.hit("c", 100.0).refused
    assert limit.hit("b", 100.0).refused
    assert not limit.hit("a", 100.0).refused


def test_a_cost_above_the_allowance_takes_all_of_it() -> None:
    """A batch larger than a minute's allowance passes on a full one, and only then."""
    limit = RateLimit("p", 10)
    assert not limit.hit("k", 100.0, 1000).refused
    assert limit.hit("k", 159.0, 1000).refused
    assert not limit.hit("k", 160.0, 1000).refused


def test_the_fields_never_promise_too_early() -> None:
    """`t` is rounded up: at 0 the allowance is whole."""
    allowance = RateLimit("p", 600).hit("k", 100.0)
    assert allowance.headers("p") == {"RateLimit-Policy": '"p";q=600;w=60', "RateLimit": '"p";r=599;t=1'}


@contextlib.asynccontextmanager
async def limited(settings: Settings, **changes: Any) -> AsyncIterator[InProcessNode]:
    async with running_node(replace(settings, **changes)) as node:
        yield node


def assert_limited(reply: Reply, policy: str, allowance: int) -> None:
    """429 that says which rate, how much of it is left, and when to come back."""
    assert (reply.status, reply.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(reply.headers["retry-after"]) == reply.json()["retry_after"] <= 60
    assert reply.headers["ratelimit-policy"] == f'"{policy}";q={allowance};w=60'
    assert reply.headers["ratelimit"].startswith(f'"{policy}";r=')


async def me(node: InProcessNode, token: str) -> Reply:
    return await exchange(node.url, request("GET", "/api/me", {"Authorization": f"Bearer {token}"}))


async def test_a_user_has_a_rate_of_its_own(settings: Settings) -> None:
    """Counted down in every reply, refused at its end; another user from the same address goes on."""
    async with limited(settings, user_rate=5) as node:
        ada, bob = await node.token(), await node.token()
        replies = [await me(node, ada) for _ in range(5)]
        assert [reply.headers["ratelimit"].split(";")[1] for reply in replies] == [f"r={n}" for n in (4, 3, 2, 1, 0)]
        assert_limited(await me(node, ada), "user", 5)
        assert (await me(node, bob)).status == 200


async def test_a_batch_costs_what_it_holds(settings: Settings) -> None:
    """One per action: a batch of four and a single one are five."""
    async with limited(settings, user_rate=5) as node:
        token = await node.token()
        items = [{"action_type": "lesson", "action_identifier": f"a-{n}"} for n in range(4)]
        assert (await node.post("/api/actions/batch", {"actions": items}, token))[0] == 200
        assert (await node.complete(token, "a-4"))[0] == 201
        status, problem = await node.complete(token, "a-5")
        assert (status, problem["code"]) == (429, "rate_limited")
        assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 5


async def test_an_address_has_a_rate_for_everything(settings: Settings) -> None:
    """Also for readers without a token; health checks do not count, nor are they refused."""
    async with limited(settings, address_rate=3) as node:
        for left in (2, 1, 0):
            reply = await exchange(node.url, request("GET", "/api/scoreboard"))
            assert (reply.status, reply.headers["ratelimit"].split(";")[1]) == (200, f"r={left}")
        assert_limited(await exchange(node.url, request("GET", "/api/boards")), "address", 3)
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await exchange(node.url, request("GET", path))).status == 200


NO_ROUTE = [("GET", "/nothing"), ("PUT", "/api/boards"), ("OPTIONS", "/api/boards"), ("OPTIONS", "*"), ("GET", "//x")]


async def test_what_no_route_takes_is_within_the_rate_of_the_address(settings: Settings) -> None:
    """Unknown paths, other methods, OPTIONS and preflights; a probe is still answered."""
    origin = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    async with limited(settings, address_rate=len(NO_ROUTE) + 1, origins="https://a.example") as node:
        statuses = [(await exchange(node.url, request(*asked))).status for asked in NO_ROUTE]
        assert statuses == [404, 405, 405, 404, 404]
        assert (await exchange(node.url, request("OPTIONS", "/api/boards", origin))).status == 204
        for asked in [*NO_ROUTE, ("GET", "/api/boards")]:
            assert_limited(await exchange(node.url, request(*asked)), "address", len(NO_ROUTE) + 1)
        assert_limited(await exchange(node.url, request("OPTIONS", "/api/boards", origin)), "address", 6)
        assert (await exchange(node.url, request("GET", "/livez"))).status == 200


async def test_probes_have_a_rate_of_their_own(settings: Settings) -> None:
    """Metrics count ten: writing them out is work. What a probe used up, a player has still."""
    async with limited(settings, probe_rate=12) as node:
        for path in ("/livez", "/metrics", "/readyz"):
            assert (await exchange(node.url, request("GET", path))).status == 200
        for path in ("/livez", "/readyz", "/metrics"):
            assert_limited(await exchange(node.url, request("GET", path)), "probe", 12)
        assert (await exchange(node.url, request("GET", "/api/boards"))).status == 200


async def test_a_stranger_uses_up_no_probe_of_those_behind_the_edge(settings: Settings) -> None:
    """The edge names its clients; a probe past the edge, or by the edge itself, counts as its peer."""
    async with limited(settings, probe_rate=10, trusted_proxies=1) as node:
        stranger = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
        assert {(await exchange(node.url, stranger)).status for _ in range(12)} == {200, 429}
        assert (await exchange(node.url, request("GET", "/livez"))).status == 200


async def test_nothing_is_limited_on_the_port_of_health(settings: Settings, unused_tcp_port: int) -> None:
    async with limited(settings, probe_rate=10, metrics_port=unused_tcp_port, metrics_private=True) as node:
        own = f"http://127.0.0.1:{unused_tcp_port}"
        for path in ("/metrics", "/livez", "/readyz") * 3:
            assert (await exchange(own, request("GET", path))).status == 200
        refused = await exchange(node.url, request("GET", "/metrics"))
        assert (refused.status, refused.json()["code"]) == (421, "misdirected")
        assert (await exchange(node.url, request("GET", "/livez"))).status == 200


async def test_logins_have_the_narrowest_rate(settings: Settings) -> None:
    """Guessing passwords ends early, whatever the names; a board is still read."""
    async with limited(settings, login_rate=4) as node:
        for n in range(4):
            body = {"username": f"user-{n}", "password": "a wrong guess"}
            assert (await node.post("/api/auth/login", body))[0] == 401
        guess = b'{"username":"ada","password":"a wrong guess"}'
        for path in ("/api/auth/login", "/api/auth/register"):
            reply = await exchange(node.url, request("POST", path, {"Content-Type": "application/json"}, guess))
            assert_limited(reply, "login", 4)
        assert (await node.get("/api/scoreboard"))[0] == 200


async def ask_as(node: InProcessNode, *forwarded: str) -> int:
    lines = "".join(f"X-Forwarded-For: {line}\r\n" for line in forwarded)
    return (await exchange(node.url, f"GET /api/boards HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())).status


async def test_without_a_proxy_forwarded_addresses_are_ignored(settings: Settings) -> None:
    """With no trusted proxy X-Forwarded-For is anybody's to write: it changes nothing."""
    async with limited(settings, address_rate=2) as node:
        assert [await ask_as(node, f"10.0.0.{n}") for n in range(4)] == [200, 200, 429, 429]


async def test_behind_a_proxy_its_own_entry_counts(settings: Settings) -> None:
    """The entry that the outermost trusted proxy wrote; what a client put before it changes nothing."""
    async with limited(settings, address_rate=2, trusted_proxies=1) as node:
        assert [await ask_as(node, f"10.0.0.{n}, 192.0.2.1") for n in range(4)] == [200, 200, 429, 429]
        assert await ask_as(node, "192.0.2.1, 192.0.2.2") == 200
        assert await ask_as(node, "10.9.9.9", "192.0.2.1") == 429
    async with limited(settings, address_rate=2, trusted_proxies=2) as node:
        assert [await ask_as(node, f"10.0.0.{n}, 192.0.2.1, 192.0.2.9") for n in range(4)] == [200, 200, 429, 429]
        assert await ask_as(node, "192.0.2.1, 192.0.2.2, 192.0.2.9") == 200
        # Fewer entries than proxies: it came past them, and counts by the peer.
        assert [await ask_as(node, f"192.0.2.{n}") for n in range(3)] == [200, 200, 429]


async def test_an_ipv6_subscriber_is_one_address(settings: Settings) -> None:
    """A /64 has 2^64 addresses and one allowance; an IPv4-mapped address is the IPv4 address."""
    async with limited(settings, address_rate=2, trusted_proxies=1) as node:
        assert [await ask_as(node, f"2001:db8:0:1::{n}") for n in range(3)] == [200, 200, 429]
        assert await ask_as(node, "2001:db8:0:2::1") == 200
        assert [await ask_as(node, text) for text in ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7")] == [200, 200, 429]
        assert await ask_as(node, "not an address") == 200
