"""The parts that use cases of users work with. Each group of use cases is handed one context, built by `node`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ..concurrency.read_through import ReadThrough
from ..domain.rules import TicketRule
from ..domain.tickets import Grant, Ticket
from ..ledger.accounts.accounts import AccountRecord, Accounts
from ..ledger.accounts.directory import Directory
from ..ledger.accounts.people import People
from ..ledger.accounts.sessions import Sessions
from ..ledger.accounts.user_editor import UserEditor
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.live_settings import SettingsStore
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..ledger.queries.user_actions import Readers
from ..ledger.write.writer import Writer
from ..ranking.archive import Archive
from ..ranking.scoreboards import Scoreboards
from .login_audit import LoginAudit

WaitForPropagation = Callable[[], Awaitable[None]]
"""Waits, for a bounded time, until every node has applied what is in the journal."""


class Tickets(Protocol):
    """Signs tickets and verifies them."""

    def issue(self, user_id: int, action_type: str, rule: TicketRule, now: datetime) -> tuple[str, Grant, str]:
        """Return a ticket's text, what it grants, and its challenge. `now` is of the ledger's clock."""

    def read(self, text: str) -> Ticket:
        """Return a presented ticket; its grant is None when the signature is not ours."""


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Starting and completing actions, and reading receipts. `types_listed`: encoded lists of action types."""

    writer: Writer
    catalogue: Catalogue
    directory: Directory
    readers: Readers
    scoreboards: Scoreboards
    tickets: Tickets
    types_listed: ReadThrough[str, bytes]


@dataclass(frozen=True, slots=True)
class BoardContext:
    """Reading boards and the places of users on them."""

    catalogue: Catalogue
    directory: Directory
    reads: Reads
    scoreboards: Scoreboards
    archive: Archive


@dataclass(frozen=True, slots=True)
class PeopleContext:
    """Public profiles."""

    boards: BoardContext
    people: People

    @property
    def directory(self) -> Directory:
        """The names of users."""
        return self.boards.directory


class TokenIssuer(Protocol):
    """Issues access tokens."""

    @property
    def lifetime(self) -> int:
        """The seconds for which a token is valid."""

    def issue(self, account: AccountRecord, *, session: str) -> str:
        """Return a token of this account, bound to a log-in."""

    def digest(self, text: str) -> str:
        """Return a short keyed digest, for what must not be logged as it is."""


class PasswordHasher(Protocol):
    """Hashes passwords slowly, beside the event loop. Both methods raise LaurelsError(OVERLOADED)."""

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""

    async def matches(self, stored: str | None, password: str) -> bool:
        """Return whether a password is the stored one, in the same time for None, which stands for no account."""


class PasswordAttempt(Protocol):
    """One attempt at a password. It counts as failed unless it succeeded or could not be decided."""

    def succeeded(self) -> None:
        """Refund the attempt: the password was right."""

    def undecided_on_refusal(self) -> AbstractContextManager[None]:
        """Refund the attempt when a LaurelsError leaves the block: it does not tell whether the password was right."""


class PasswordThrottle(Protocol):
    """Limits failed attempts at passwords, as `web.limits.login_throttle` does."""

    async def begin(self, fold: str, address: str) -> PasswordAttempt:
        """Begin an attempt at the account of this folded name. Raises LaurelsError(RATE_LIMITED)."""


@dataclass(frozen=True, slots=True)
class AccountContext:
    """Registration, log-in, and what users change of their own account. `refresh_life`: of a refresh token."""

    pool: Pool
    accounts: Accounts
    sessions: Sessions
    users: UserEditor
    settings: SettingsStore
    tokens: TokenIssuer
    passwords: PasswordHasher
    login_throttle: PasswordThrottle
    audit: LoginAudit
    refresh_life: timedelta
    wait_for_propagation: WaitForPropagation


@dataclass(frozen=True, slots=True)
class OwnDataContext:
    """Reading the own account."""

    boards: BoardContext
    accounts: Accounts
    readers: Readers

    @property
    def reads(self) -> Reads:
        """The ledger, or a replica of it."""
        return self.boards.reads
