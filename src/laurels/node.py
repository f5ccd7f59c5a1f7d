"""A node: its parts, wired but not running. `runtime` starts and stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from .config import Settings
from .domain.actions import Placement
from .domain.detectors import Thresholds
from .domain.errors import LaurelsError
from .ledger.accounts.directory import Directory
from .ledger.catalogue.catalogue import Catalogue
from .ledger.catalogue.live_settings import LiveSettings, SettingsStore
from .ledger.db.ledger_id import read_ledger_id
from .ledger.db.pool import Pool, refused_when_it_fails
from .ledger.events.journal import Journal, JournalWakeup
from .ledger.events.propagation import running_nodes, wait_for_nodes
from .ledger.write.batch import CommittedBatch
from .ledger.write.writer import Project, Writer
from .live.bus import Bus, BusListener
from .live.connection_limits import ConnectionLimits
from .live.hub import BoardSources, Hub
from .live.user_sockets import SharedUserSockets
from .node_contexts import contexts_of
from .node_ledger import LedgerParts, lanes_of, ledger_parts
from .node_parts import AuthParts, NodeParts, NodeReadiness, RankParts, node_parts
from .ranking.memory_index import MemoryIndex
from .ranking.memory_projection import MemoryProjection
from .ranking.redis_index.fallback_index import FallbackIndex
from .ranking.redis_index.generations import IndexGenerations
from .ranking.redis_index.projection import RedisProjection
from .ranking.redis_index.windows import RedisWindows
from .ranking.scoreboards import Scoreboards
from .ranking.sql_index import SqlIndex
from .redis_store import RedisStore, parse_address
from .redis_store.leases import SocketLeases
from .web.auth.access_tokens import AccessTokens
from .web.auth.keyring import Keyring
from .web.auth.secret_box import SecretBox
from .web.auth.ticket_signer import TicketSigner
from .web.context import Limits
from .web.limits.login_throttle import LoginThrottle
from .web.limits.rate_limit import RateLimit
from .web.limits.rate_limit_sync import RateLimitSync

log = structlog.get_logger(__name__)

PROPAGATION_SECONDS = 0.8
"""The longest that an operator waits until nodes apply a change; they read the journal more often than that."""


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of a node."""

    parts: NodeParts
    contexts: tuple[object, ...]
    """The contexts that handlers may ask for."""
    journal: Journal
    readiness: NodeReadiness
    store: RedisStore | None = None
    """Redis, if several nodes share one; then there is a bus too."""
    bus: Bus | None = None
    journal_wakeup: JournalWakeup = field(default_factory=JournalWakeup)
    """Woken when the journal should be read now."""
    shared_limits: RateLimitSync | None = None
    user_sockets: SharedUserSockets | None = None


def _hub(settings: Settings, scoreboards: Scoreboards, catalogue: Catalogue, directory: Directory) -> Hub:
    sources = BoardSources(
        top=refused_when_it_fails(scoreboards.top),
        places=refused_when_it_fails(scoreboards.places),
        names=refused_when_it_fails(directory.people),
        boards=lambda: catalogue.boards,
        type_ids=lambda: {name: kind.id for name, kind in catalogue.types.items()},
        blocked=lambda: directory.blocked,
        shadowed=lambda: directory.shadowed,
    )
    connection_limits = ConnectionLimits(
        limit=settings.sockets, per_address=settings.sockets_per_address, per_user=settings.sockets_per_user
    )
    return Hub(
        sources,
        connection_limits,
        frames_per_second=settings.frames_per_second,
        drain_seconds=float(settings.drain_seconds),
    )


def _projecting(projection: MemoryProjection | RedisProjection, hub: Hub) -> Project:
    """Return what the writer calls after a commit: it updates the index first, then live boards."""

    async def project(batch: CommittedBatch) -> Mapping[int, Placement]:
        placements = await projection.project(batch)
        hub.on_batch_committed(batch)
        return placements

    return project


async def assemble(settings: Settings, pool: Pool) -> Node:
    """Build every part of a node on a migrated ledger."""
    ledger = await ledger_parts(settings, pool)
    store = RedisStore(parse_address(settings.redis_url), await read_ledger_id(pool)) if settings.redis_url else None
    ranks = _ranks(settings, ledger, store)
    auth = await _auth(settings, ledger, store)
    writer = _writer(settings, ledger, ranks)
    live_settings = await _live_settings(settings, ledger, auth.limits, ranks.hub, writer)
    journal_wakeup = JournalWakeup()
    bus = _bus(store, ledger.node_id, ranks.hub, ledger.catalogue, journal_wakeup)
    if bus is not None:
        ranks.projection.listeners.append(bus.on_window_changed)
    shared_limits = _shared_limits(store, auth.limits, auth.login_throttle)
    user_sockets = _user_sockets(store, ledger.node_id, ranks.hub)
    readiness = _readiness(ledger, ranks, bus, shared_limits)
    parts = node_parts(
        settings,
        ledger,
        ranks,
        auth,
        writer,
        live_settings,
        readiness,
        _wait_for_propagation(ledger, journal_wakeup, bus),
    )
    contexts = contexts_of(parts, timedelta(days=settings.refresh_days))
    return Node(parts, contexts, ledger.journal, readiness, store, bus, journal_wakeup, shared_limits, user_sockets)


def _ranks(settings: Settings, ledger: LedgerParts, store: RedisStore | None) -> RankParts:
    index, projection = _index(store, ledger.catalogue, ledger.pool, ledger.node_id, ledger.last_batch)
    scoreboards = Scoreboards(index, ledger.catalogue, ledger.directory, ledger.reads)
    hub = _hub(settings, scoreboards, ledger.catalogue, ledger.directory)
    projection.listeners.append(hub.on_window_changed)
    return RankParts(index, projection, scoreboards, hub)


async def _auth(settings: Settings, ledger: LedgerParts, store: RedisStore | None) -> AuthParts:
    keyring = Keyring(ledger.api_keys, SecretBox(settings.encryption_key))
    await keyring.refresh()
    tokens, ticket_signer = AccessTokens(settings.token_seconds), TicketSigner()
    signing_keys = await ledger.accounts.signing_keys()
    tokens.set_keys(signing_keys)
    ticket_signer.set_keys(signing_keys)
    limits = Limits(
        RateLimit("user", settings.user_rate),
        RateLimit("key", settings.key_rate),
        RateLimit("address", settings.address_rate),
        RateLimit("login", settings.login_rate),
        RateLimit("probe", settings.probe_rate),
    )
    login_throttle = LoginThrottle(settings.account_rate, settings.network_rate, settings.failure_rate, store)
    return AuthParts(tokens, ticket_signer, keyring, login_throttle, limits)


def _writer(settings: Settings, ledger: LedgerParts, ranks: RankParts) -> Writer:
    return Writer(
        ledger.pool,
        ledger.catalogue,
        _projecting(ranks.projection, ranks.hub),
        ranks.scoreboards.placements,
        ledger.node_id,
        lanes=lanes_of(settings),
        queue_limit=settings.queue_limit,
        confirm=ranks.projection.confirm,
        in_doubt=ledger.journal.expect,
    )


def _readiness(
    ledger: LedgerParts, ranks: RankParts, bus: Bus | None, shared_limits: RateLimitSync | None
) -> NodeReadiness:
    readiness = NodeReadiness(degradable=[ledger.reads.degraded])
    if shared_limits is not None:
        readiness.degradable.append(shared_limits.degraded_reasons)
    if bus is not None:
        readiness.degradable.append(bus.degraded_reasons)
    if isinstance(ranks.projection, RedisProjection):
        readiness.degradable.append(ranks.projection.degraded_reasons)
    return readiness


def _user_sockets(store: RedisStore | None, node_id: UUID, hub: Hub) -> SharedUserSockets | None:
    if store is None:
        return None
    return SharedUserSockets(SocketLeases(store, "sockets", node_id.hex), hub.connection_limits, hub.keep_oldest)


def _shared_limits(store: RedisStore | None, limits: Limits, login_throttle: LoginThrottle) -> RateLimitSync | None:
    return (
        None
        if store is None
        else RateLimitSync(
            store, [limits.user, limits.key, limits.address, limits.login, *login_throttle.limits], login_throttle.known
        )
    )


def _index(
    store: RedisStore | None, catalogue: Catalogue, pool: Pool, node_id: UUID, last_batch: int
) -> tuple[MemoryIndex, MemoryProjection] | tuple[FallbackIndex, RedisProjection]:
    """Return the index and its writer: in this process, or in Redis for several nodes."""
    if store is None:
        # Batch ids outnumber the seqs of any window, so a seq never goes back over a restart.
        memory = MemoryIndex(epoch=node_id.hex[:12], first_seq=last_batch)
        return memory, MemoryProjection(memory, catalogue, pool)
    windows, generations = RedisWindows(store), IndexGenerations(pool)
    shared = FallbackIndex(windows, SqlIndex(pool), generations)
    return shared, RedisProjection(windows, shared, generations, catalogue, pool)


def _bus(
    store: RedisStore | None, node_id: UUID, hub: Hub, catalogue: Catalogue, journal_wakeup: JournalWakeup
) -> Bus | None:
    """Return the bus: news of other nodes refresh boards and wake the reader of the journal. None without Redis."""
    if store is None:
        return None

    def read_everything() -> None:
        journal_wakeup.wake()
        for slug in catalogue.boards:
            hub.refresh(slug)

    return Bus(
        store,
        node_id.hex,
        BusListener(on_board_moved=hub.refresh, on_journal_news=journal_wakeup.wake, on_gap=read_everything),
    )


def _wait_for_propagation(
    ledger: LedgerParts, journal_wakeup: JournalWakeup, bus: Bus | None
) -> Callable[[], Awaitable[None]]:
    """Return a function that waits until every node has applied the journal, at most PROPAGATION_SECONDS."""

    async def wait_for_propagation() -> None:
        here = asyncio.Event()
        journal_wakeup.wake(here.set)
        try:
            async with asyncio.timeout(PROPAGATION_SECONDS):
                applied = await _applied_by(bus)
                if {node.hex for node in await running_nodes(ledger.pool, ledger.node_id)} - applied and (
                    await wait_for_nodes(ledger.pool, PROPAGATION_SECONDS, but=ledger.node_id)
                ):
                    raise TimeoutError
                await here.wait()
        except (TimeoutError, LaurelsError):
            log.warning("a change is in the journal, but not yet applied by every node")

    return wait_for_propagation


async def _applied_by(bus: Bus | None) -> frozenset[str]:
    """Return the nodes that confirmed over the bus. The others are waited for in the ledger."""
    if bus is None or not bus.is_up:
        return frozenset()
    try:
        async with asyncio.timeout(PROPAGATION_SECONDS / 2):
            return await bus.wait_for_propagation()
    except TimeoutError:
        return frozenset()


async def _live_settings(
    settings: Settings, ledger: LedgerParts, limits: Limits, hub: Hub, writer: Writer
) -> SettingsStore:
    """Return the settings that may change while the node runs, with the parts that follow them."""

    def follow(now: LiveSettings) -> None:
        limits.user.set_rate(now.user_rate)
        limits.key.set_rate(now.key_rate)
        limits.address.set_rate(now.address_rate)
        limits.login.set_rate(now.login_rate)
        hub.set_frame_rate(now.frames_per_second)
        writer.detectors.thresholds = Thresholds(
            user_per_minute=now.hold_user_rate, address_per_minute=now.hold_address_rate
        )

    store = SettingsStore(ledger.pool, LiveSettings.of(settings), ledger.node_id)
    store.listeners.append(follow)
    follow(store.current)
    await store.refresh()
    return store
