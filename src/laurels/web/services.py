"""What the handlers work with. Built by `runtime`, handed to every call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..app.admin_context import AdminContext
from ..app.login_audit import LoginAudit
from ..concurrency.read_through import ReadThrough
from ..ledger.accounts.accounts import Accounts
from ..ledger.accounts.directory import Directory
from ..ledger.accounts.people import People
from ..ledger.accounts.revocations import Revocations
from ..ledger.accounts.sessions import Sessions
from ..ledger.accounts.user_editor import UserEditor
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.live_settings import SettingsStore
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..ledger.queries.readers import Readers
from ..ledger.write.throughput import Throughput
from ..ledger.write.writer import Writer
from ..live.hub import Hub
from ..ranking.archive import Archive
from ..ranking.index import HeldIndex
from ..ranking.memory_projection import MemoryProjection
from ..ranking.redis_index.projection import RedisProjection
from ..ranking.scoreboards import Scoreboards
from .auth.access_tokens import AccessTokens
from .auth.authenticate import Authenticator
from .auth.external_tokens import ExternalTokens
from .auth.keyring import Keyring
from .auth.passwords import Passwords
from .auth.ticket_signer import TicketSigner
from .context import EdgeOptions, Limits
from .limits.login_throttle import LoginThrottle


@dataclass(slots=True)
class NodeStatus:
    """What background work last found out, for operators."""

    journal_lag_seconds: float = 0.0
    """Age of the newest commit of another process when it was applied here."""
    index_drift: int = 0
    """Standings in which index and ledger differed in the last sample."""


@dataclass(frozen=True, slots=True)
class Services:
    """`missing` answers, in words, what keeps the node from serving; `degraded`, what it serves without.

    `settle` waits, not for long, until every node has taken what is journalled. `ready_types`: their list, encoded.
    """

    pool: Pool
    admin: AdminContext
    accounts: Accounts
    sessions: Sessions
    revocations: Revocations
    keyring: Keyring
    ticket_signer: TicketSigner
    external_tokens: ExternalTokens
    authenticator: Authenticator
    catalogue: Catalogue
    ready_types: ReadThrough[str, bytes]
    user_editor: UserEditor
    live_settings: SettingsStore
    throughput: Throughput
    status: NodeStatus
    directory: Directory
    reads: Reads
    readers: Readers
    people: People
    writer: Writer
    index: HeldIndex
    projection: MemoryProjection | RedisProjection
    scoreboards: Scoreboards
    archive: Archive
    hub: Hub
    tokens: AccessTokens
    passwords: Passwords
    login_throttle: LoginThrottle
    login_audit: LoginAudit
    limits: Limits
    options: EdgeOptions
    missing: Callable[[], list[str]]
    degraded: Callable[[], list[str]]
    wait_for_propagation: Callable[[], Awaitable[None]]
    contexts: tuple[object, ...] = ()
