"""Guessing passwords is bounded per account, and in all, beside the limit per address that the edge keeps.

Whoever sprays one password over many accounts from many addresses stays below every limit per account and address:
that is what the limit in all is for. It can't lock anybody out of where they are at home: an address from which an
account was logged in to before has an allowance of its own, which strangers can't spend.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from .limits import MINUTE, RateLimit

log = structlog.get_logger(__name__)

_EVERYBODY = b""


@dataclass(frozen=True, slots=True)
class Guess:
    """A log-in under way. It counts as failed unless it `succeeded`, or could not be `decided` at all."""

    guesses: Guesses
    key: bytes
    pair: bytes

    def succeeded(self) -> None:
        self.guesses.take_back(self, at_home=True)

    @contextlib.contextmanager
    def decided(self) -> Iterator[None]:
        """What is refused within says nothing of the password."""
        try:
            yield
        except LaurelsError:
            self.guesses.take_back(self, at_home=False)
            raise


class Guesses:
    """At most so many failed log-ins a minute: `per_account`, and `in_all` from addresses that are new to the account.

    Remembers the latest `pairs` of account and address.
    """

    def __init__(self, per_account: int, in_all: int, *, pairs: int = 100_000) -> None:
        self._account = RateLimit("account", per_account)
        self._all = RateLimit("failures", in_all)
        self._at_home: OrderedDict[bytes, None] = OrderedDict()
        self._pairs = pairs
        self._told_at = float("-inf")

    @property
    def limits(self) -> tuple[RateLimit, RateLimit]:
        return self._account, self._all

    def begin(self, fold: str, address: str) -> Guess:
        """Raises LaurelsError(RATE_LIMITED). The same for names that nobody has."""
        account, pair = _digest(fold), _digest(f"{fold}\0{address}")
        now = time.monotonic()
        if pair in self._at_home:
            self._take(self._account, pair, now)
            return Guess(self, pair, pair)
        self._take(self._account, account, now)
        try:
            self._take(self._all, _EVERYBODY, now)
        except LaurelsError:
            self._account.give_back(account)
            self._warn(now)
            raise
        return Guess(self, account, pair)

    def take_back(self, guess: Guess, *, at_home: bool) -> None:
        """It was no guess: return what it took. `at_home`: remember that the account belongs to this address."""
        self._account.give_back(guess.key)
        if guess.key != guess.pair:
            self._all.give_back(_EVERYBODY)
        if not at_home:
            return
        self._at_home[guess.pair] = None
        self._at_home.move_to_end(guess.pair)
        if len(self._at_home) > self._pairs:
            self._at_home.popitem(last=False)

    def _take(self, limit: RateLimit, key: bytes, now: float) -> None:
        allowance = limit.hit(key, now)
        if allowance.refused:
            telemetry.GUESSES_REFUSED.labels(limit.policy).inc()
            raise LaurelsError(
                Code.RATE_LIMITED,
                "Too many log-ins with a wrong password. Wait for Retry-After seconds.",
                retry_after=allowance.retry_after,
            )

    def _warn(self, now: float) -> None:
        if now - self._told_at > MINUTE:
            self._told_at = now
            log.warning("log-ins fail in great numbers: passwords are being sprayed, or the limit is too low")


def _digest(text: str) -> bytes:
    """Keys of one size, whatever names people try."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
