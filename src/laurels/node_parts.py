"""The parts of a node, from which the contexts of its use cases are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from .app.admin_context import AdminContext
from .app.login_audit import LoginAudit
from .concurrency.read_through import ReadThrough
from .config import Settings
from .ledger.accounts.accounts import Accounts
from .ledger.accounts.directory import Directory
from .ledger.accounts.nonces import use_nonce
from .ledger.accounts.people import People
from .ledger.accounts.revocations import Revocations
from .ledger.accounts.sessions import Sessions
from .ledger.accounts.user_editor import UserEditor
from .ledger.catalogue.board_editor import BoardEditor
from .ledger.catalogue.catalogue import Catalogue
from .ledger.catalogue.live_settings import SettingsStore
from .ledger.catalogue.type_editor import TypeEditor
from .ledger.db.pool import Pool
from .ledger.db.replicas import Reads
from .ledger.queries.user_actions import Readers
from .ledger.write.throughput import Throughput
from .ledger.write.writer import Writer
from .live.hub import Hub
from .node_ledger import LedgerParts
from .ranking.archive import Archive
from .ranking.index import HeldIndex
from .ranking.memory_index import MemoryIndex
from .ranking.memory_projection import MemoryProjection
from .ranking.redis_index.fallback_index import FallbackIndex
from .ranking.redis_index.projection import RedisProjection
from .ranking.scoreboards import Scoreboards
from .web.auth.access_tokens import AccessTokens
from .web.auth.authenticate import Authenticator
from .web.auth.external_tokens import ExternalTokens
from .web.auth.issuers import parse_issuers
from .web.auth.keyring import Keyring
from .web.auth.passwords import Passwords
from .web.auth.ticket_signer import TicketSigner
from .web.context import Limits, NodeStatus, PipelineContext, PipelineOptions
from .web.http.forwarded import ForwardedHeader
from .web.http.origins import Origins
from .web.limits.login_throttle import LoginThrottle

CATALOGUE_SECONDS = 3_600.0
"""Seconds after which a node reads action types and boards again, even if it was not notified of a change."""


@dataclass(slots=True)
class NodeReadiness:
    """The reasons why a node does not serve, and the parts that it serves without, as sentences.

    `degradable`: for each part that a node can do without for a while, a function that returns what is lacking.
    """

    loaded: bool = False
    stopping: bool = False
    lost_parts: list[str] = field(default_factory=list)
    degradable: list[Callable[[], list[str]]] = field(default_factory=list)

    def missing(self) -> list[str]:
        """Return why the node does not serve; empty when it does."""
        reasons = list(self.lost_parts)
        if not self.loaded:
            reasons.append("the index is being loaded")
        if self.stopping:
            reasons.append("the node is stopping")
        return reasons

    def degraded(self) -> list[str]:
        """Return what the node serves without."""
        return [reason for part in self.degradable for reason in part()]


@dataclass(frozen=True, slots=True)
class NodeParts:
    """Every part of a node. Only the modules that build, start and stop a node see it.

    `ready_types`: encoded lists of action types. `missing`, `degraded`: see NodeReadiness.
    """

    pool: Pool
    admin: AdminContext
    accounts: Accounts
    sessions: Sessions
    revocations: Revocations
    keyring: Keyring
    ticket_signer: TicketSigner
    external_tokens: ExternalTokens
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
    pipeline: PipelineContext
    missing: Callable[[], list[str]]
    degraded: Callable[[], list[str]]


@dataclass(frozen=True, slots=True)
class RankParts:
    """The index, its writer, the boards made from it, and the hub that sends them."""

    index: MemoryIndex | FallbackIndex
    projection: MemoryProjection | RedisProjection
    scoreboards: Scoreboards
    hub: Hub


@dataclass(frozen=True, slots=True)
class AuthParts:
    """Tokens, tickets and API keys, and the rates at which requests and log-ins are accepted."""

    tokens: AccessTokens
    ticket_signer: TicketSigner
    keyring: Keyring
    login_throttle: LoginThrottle
    limits: Limits


def node_parts(
    settings: Settings,
    ledger: LedgerParts,
    ranks: RankParts,
    auth: AuthParts,
    writer: Writer,
    live_settings: SettingsStore,
    readiness: NodeReadiness,
    wait_for_propagation: Callable[[], Awaitable[None]],
) -> NodeParts:
    """Return the parts of a node, made from those that are built first."""
    pool, catalogue = ledger.pool, ledger.catalogue
    external_tokens = ExternalTokens(
        parse_issuers(settings.issuers), ledger.accounts, lambda: live_settings.current.registration_open
    )
    revocations = ledger.revocations
    revocations.on_floor_raised(lambda: auth.tokens.expire_older(revocations.floor))
    revocations.on_floor_raised(external_tokens.forget)
    admin = _admin_context(ledger, live_settings)
    authenticator = Authenticator(
        auth.tokens,
        external_tokens,
        auth.keyring,
        ledger.directory,
        revocations,
        ledger.accounts,
        partial(use_nonce, pool),
    )
    return NodeParts(
        pool=pool,
        admin=admin,
        accounts=ledger.accounts,
        sessions=admin.sessions,
        revocations=revocations,
        keyring=auth.keyring,
        ticket_signer=auth.ticket_signer,
        external_tokens=external_tokens,
        catalogue=catalogue,
        ready_types=ReadThrough("action_types", seconds=CATALOGUE_SECONDS, limit=1),
        user_editor=admin.users,
        live_settings=live_settings,
        throughput=Throughput(lambda: writer.decided),
        status=NodeStatus(),
        directory=ledger.directory,
        people=People(ledger.reads),
        reads=ledger.reads,
        readers=Readers(ledger.reads),
        writer=writer,
        index=ranks.index,
        projection=ranks.projection,
        scoreboards=ranks.scoreboards,
        archive=Archive(ledger.reads, catalogue, ledger.directory),
        hub=ranks.hub,
        tokens=auth.tokens,
        passwords=Passwords(settings.password_workers),
        login_throttle=auth.login_throttle,
        login_audit=LoginAudit(pool),
        pipeline=PipelineContext(_pipeline_options(settings), auth.limits, authenticator, wait_for_propagation),
        missing=readiness.missing,
        degraded=readiness.degraded,
    )


def _pipeline_options(settings: Settings) -> PipelineOptions:
    return PipelineOptions(
        settings.trusted_proxies,
        settings.access_log,
        Origins(settings.allowed_origins),
        forwarded_header=cast("ForwardedHeader", settings.forwarded_header),
    )


def _admin_context(ledger: LedgerParts, live_settings: SettingsStore) -> AdminContext:
    pool, catalogue, node_id = ledger.pool, ledger.catalogue, ledger.node_id
    return AdminContext(
        node_id=node_id,
        pool=pool,
        reads=ledger.reads,
        catalogue=catalogue,
        directory=ledger.directory,
        accounts=ledger.accounts,
        sessions=Sessions(pool),
        users=UserEditor(pool, node_id),
        types=TypeEditor(pool, catalogue, node_id),
        boards=BoardEditor(pool, catalogue, node_id),
        api_keys=ledger.api_keys,
        settings=live_settings,
    )
