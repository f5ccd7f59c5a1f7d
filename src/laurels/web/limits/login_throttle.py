"""Bounds on guessing passwords: per account, per network, and a brake while log-ins fail in great numbers.

All of them count over all nodes that share a Redis, and in each process without one. None of them closes the door for
everybody: an address from which the account was logged in to before has an allowance of its own, which strangers can't
spend; and however many fail elsewhere, the first guesses at an account that nobody attacks are always granted. The
brake makes each failure at one account from a new address cost half of what the account allows.
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

_EVERYBODY = b""
V4_PREFIX, V6_PREFIX = 24, 48
"""A network: what one customer of a provider commonly holds, and more than one host can pick addresses from."""


@dataclass(frozen=True, slots=True)
class _Hit:
    limit: RateLimit
    key: bytes
    cost: int = 1


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A log-in under way. It counts as failed unless it `succeeded`, or could not be `decided` at all."""

    login_throttle: LoginThrottle
    pair: bytes
    hits: tuple[_Hit, ...]

    def succeeded(self) -> None:
        self._give_back()
        self.login_throttle.known.add(self.pair)

    @contextlib.contextmanager
    def undecided_on_refusal(self) -> Iterator[None]:
        """What is refused within says nothing of the password."""
        try:
            yield
        except LaurelsError:
            self._give_back()
            raise

    def _give_back(self) -> None:
        for hit in self.hits:
            hit.limit.refund(hit.key, hit.cost)


class LoginThrottle:
    """Failed log-ins a minute: at most `per_account` and `per_network`; beyond `in_all` the brake is on."""

    def __init__(self, per_account: int, per_network: int, in_all: int, store: RedisStore | None = None) -> None:
        self.known = KnownAddresses(store)
        self._account = RateLimit("account", per_account)
        self._network = RateLimit("network", per_network)
        self._all = RateLimit("failures", in_all)
        self._braked_cost = max(1, per_account // 2)  # so that one mistake is always forgiven
        self._told_at = float("-inf")

    @property
    def limits(self) -> tuple[RateLimit, ...]:
        return self._account, self._network, self._all

    async def begin(self, fold: str, address: str) -> LoginAttempt:
        """Raises LaurelsError(RATE_LIMITED). The same for names that nobody has."""
        pair, now = _digest(f"{fold}\0{address}"), time.monotonic()
        if pair not in self.known:
            guess = self._from_new_address(fold, address, pair, now)
            if isinstance(guess, LoginAttempt):
                return guess
            if not await self.known.is_known_elsewhere(pair):
                raise _refusal(*guess)
        at_home = _Hit(self._account, pair)
        allowance = self._account.hit(pair, now)
        if allowance.refused:
            raise _refusal(self._account, allowance)
        return LoginAttempt(self, pair, (at_home,))

    def _from_new_address(
        self, fold: str, address: str, pair: bytes, now: float
    ) -> LoginAttempt | tuple[RateLimit, Allowance]:
        """Take from the network's and the account's allowance, or answer which of them is spent."""
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
        if not self._all.hit(_EVERYBODY, now).refused:
            taken.append(_Hit(self._all, _EVERYBODY))
        return LoginAttempt(self, pair, tuple(taken))

    def _cost(self, now: float) -> int:
        """Return what a failure costs its account: more while the brake is on."""
        if not self._all.is_spent(_EVERYBODY, now):
            return 1
        if now - self._told_at > MINUTE:
            self._told_at = now
            log.warning("log-ins fail in great numbers: passwords are being sprayed, or the limit is too low")
        return self._braked_cost


@lru_cache(10_000)
def network_of(address: str) -> str | None:
    """The /24 or /48 of an address, or of the /64 that stands for one. None for what is no address."""
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
    """Keys of one size, whatever names people try."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
