"""Bounds on guessing passwords: per account, per network, and a brake while many log-ins fail.

They count over all nodes that share a Redis, and in each process without one. None of them locks everybody out: an
address from which the account was logged in to before has an allowance of its own, which others can't spend; and
however many log-ins fail elsewhere, the first guesses at an account that is not attacked are always granted. The brake
makes each failure at one account from a new address cost half of what the account allows.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import structlog

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from ...redis_store import RedisStore
from .known_addresses import KnownAddresses
from .rate_limit import MINUTE, Allowance, RateLimit

log = structlog.get_logger(__name__)

_ALL_ACCOUNTS = b""
V4_PREFIX, V6_PREFIX = 24, 48
"""Prefix lengths of a network: what one customer of a provider commonly holds, more than one host chooses from."""


@dataclass(frozen=True, slots=True)
class _Hit:
    limit: RateLimit
    key: bytes
    cost: int = 1


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A log-in that has begun. It counts as failed unless it `succeeded`, or was refused for another reason.

    `pair`: digest of account and address. `hits`: what it took from the limits.
    """

    login_throttle: LoginThrottle
    pair: bytes
    hits: tuple[_Hit, ...]

    def succeeded(self) -> None:
        """Give back what the log-in took, and remember the address."""
        self._refund()
        self.login_throttle.known.add(self.pair)

    @contextlib.contextmanager
    def undecided_on_refusal(self) -> Iterator[None]:
        """Give back what the log-in took when the block refuses it: that says nothing about the password."""
        try:
            yield
        except LaurelsError:
            self._refund()
            raise

    def _refund(self) -> None:
        for hit in self.hits:
            hit.limit.refund(hit.key, hit.cost)


class LoginThrottle:
    """Limits failed log-ins a minute: to `per_account` and `per_network`; beyond `in_all` the brake is on."""

    def __init__(self, per_account: int, per_network: int, in_all: int, store: RedisStore | None = None) -> None:
        self.known = KnownAddresses(store)
        self._account = RateLimit("account", per_account)
        self._network = RateLimit("network", per_network)
        self._all = RateLimit("failures", in_all)
        self._braked_cost = max(1, per_account // 2)  # so that one mistake is always forgiven
        self._warned_at = float("-inf")

    @property
    def limits(self) -> tuple[RateLimit, ...]:
        """The rate limits, to be synchronised."""
        return self._account, self._network, self._all

    async def begin(self, fold: str, address: str) -> LoginAttempt:
        """Count a log-in with a folded name from an address. The same for names without an account.

        Raises LaurelsError(RATE_LIMITED).
        """
        pair, now = _digest(f"{fold}\0{address}"), time.monotonic()
        if pair not in self.known:
            begun = self._from_new_address(fold, address, pair, now)
            if isinstance(begun, LoginAttempt):
                return begun
            if not await self.known.is_known_elsewhere(pair):
                raise _refusal(*begun)
        known_hit = _Hit(self._account, pair)
        allowance = self._account.hit(pair, now)
        if allowance.refused:
            raise _refusal(self._account, allowance)
        return LoginAttempt(self, pair, (known_hit,))

    def _from_new_address(
        self, fold: str, address: str, pair: bytes, now: float
    ) -> LoginAttempt | tuple[RateLimit, Allowance]:
        """Take from the network's and the account's allowance; return the log-in, or the limit that is used up."""
        taken: list[_Hit] = []
        network = network_of(address)
        if network is not None:
            taken.append(_Hit(self._network, _digest(network)))
        taken.append(_Hit(self._account, _digest(fold), self._cost(now)))
        for position, hit in enumerate(taken):
            allowance = hit.limit.hit(hit.key, now, hit.cost)
            if allowance.refused:
                for earlier in taken[:position]:
                    earlier.limit.refund(earlier.key, earlier.cost)
                return hit.limit, allowance
        if not self._all.hit(_ALL_ACCOUNTS, now).refused:
            taken.append(_Hit(self._all, _ALL_ACCOUNTS))
        return LoginAttempt(self, pair, tuple(taken))

    def _cost(self, now: float) -> int:
        """Return what a failure costs its account: more while the brake is on."""
        if not self._all.is_spent(_ALL_ACCOUNTS, now):
            return 1
        if now - self._warned_at > MINUTE:
            self._warned_at = now
            log.warning("many log-ins fail: passwords are being sprayed, or the limit is too low")
        return self._braked_cost


@lru_cache(10_000)
def network_of(address: str) -> str | None:
    """Return the /24 or /48 of an address, or of the /64 that stands for one; None if it is not an address."""
    try:
        first = ipaddress.ip_interface(address).ip
    except ValueError:
        return None
    return str(ipaddress.ip_network((int(first), V4_PREFIX if first.version == 4 else V6_PREFIX), strict=False))


def _refusal(limit: RateLimit, allowance: Allowance) -> LaurelsError:
    telemetry.LOGIN_THROTTLED.labels(limit.policy).inc()
    return LaurelsError(
        Code.RATE_LIMITED,
        "Too many log-ins with a wrong password. Wait for Retry-After seconds.",
        retry_after=allowance.retry_after,
    )


def _digest(text: str) -> bytes:
    """Return a key of fixed size, whatever the name."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
