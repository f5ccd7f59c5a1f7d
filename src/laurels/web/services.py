"""What the handlers work with. Built by `runtime`, handed to every call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..ledger.accounts import Accounts
from ..ledger.api_keys import ApiKeys
from ..ledger.board_editor import BoardEditor
from ..ledger.catalogue import Catalogue
from ..ledger.directory import Directory
from ..ledger.live_settings import SettingsStore
from ..ledger.people import People
from ..ledger.pool import Pool
from ..ledger.readers import Readers
from ..ledger.receipts import Receipts
from ..ledger.replicas import Reads
from ..ledger.revocations import Revocations
from ..ledger.sessions import Sessions
from ..ledger.type_editor import TypeEditor
from ..ledger.user_editor import UserEditor
from ..ledger.writer import Writer
from ..live.hub import Hub
from ..ranking.archive import Archive
from ..ranking.index import HeldIndex
from ..ranking.projection import Projection
from ..ranking.scoreboards import Scoreboards
from ..ranking.shared_projection import SharedProjection
from ..shared.cache import ReadThrough
from ..telemetry import Pace
from .forwarded import ForwardedHeader
from .guesses import Guesses
from .keyring import Keyring
from .limits import RateLimit
from .login_audit import LoginAudit
from .origins import Origins
from .outsiders import Outsiders
from .passwords import Passwords
from .ticket_office import TicketOffice
from .tokens import Tokens


@dataclass(frozen=True, slots=True)
class Limits:
    user: RateLimit
    key: RateLimit
    address: RateLimit
    login: RateLimit
    probe: RateLimit


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """`refresh_days`: life of a refresh token. `slow_seconds`: a request slower than this is logged.

    `body_seconds`: how long a body may take to arrive.
    """

    refresh_days: int
    trusted_proxies: int
    access_log: bool
    origins: Origins
    slow_seconds: float = 1.0
    body_seconds: float = 30.0
    forwarded_header: ForwardedHeader = "either"


@dataclass(frozen=True, slots=True)
class Services:
    """`missing` answers, in words, what keeps the node from serving; `degraded`, what it serves without.

    `settle` waits, not for long, until every node has taken what is journalled. `ready_types`: their list, encoded.
    """

    pool: Pool
    accounts: Accounts
    sessions: Sessions
    revocations: Revocations
    api_keys: ApiKeys
    keyring: Keyring
    ticket_office: TicketOffice
    outsiders: Outsiders
    catalogue: Catalogue
    ready_types: ReadThrough[str, bytes]
    type_editor: TypeEditor
    board_editor: BoardEditor
    user_editor: UserEditor
    live_settings: SettingsStore
    pace: Pace
    directory: Directory
    reads: Reads
    readers: Readers
    people: People
    receipts: Receipts
    writer: Writer
    index: HeldIndex
    projection: Projection | SharedProjection
    scoreboards: Scoreboards
    archive: Archive
    hub: Hub
    tokens: Tokens
    passwords: Passwords
    guesses: Guesses
    login_audit: LoginAudit
    limits: Limits
    options: EdgeOptions
    missing: Callable[[], list[str]]
    degraded: Callable[[], list[str]]
    settle: Callable[[], Awaitable[None]]
