"""A node: its parts, wired but not running. `runtime` starts and stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import structlog

from .config import Settings
from .domain.actions import Placement
from .domain.detectors import Thresholds
from .domain.errors import LaurelsError
from .ledger.batch import CommittedBatch
from .ledger.board_editor import BoardEditor
from .ledger.catalogue import Catalogue
from .ledger.directory import Directory
from .ledger.journal import Bell, Journal
from .ledger.ledger_id import read_ledger_id
from .ledger.live_settings import LiveSettings, SettingsStore
from .ledger.people import People
from .ledger.pool import Pool, refused_when_it_fails
from .ledger.propagation import running_nodes, wait_for_nodes
from .ledger.readers import Readers
from .ledger.sessions import Sessions
from .ledger.type_editor import TypeEditor
from .ledger.user_editor import UserEditor
from .ledger.writer import Project, Writer
from .live.bus import Bus, Listener
from .live.hub import Hub, Sources
from .live.seats import Seats
from .live.user_sockets import SharedUserSockets
from .node_ledger import LedgerParts, lanes_of, ledger_parts
from .ranking.archive import Archive
from .ranking.memory import MemoryIndex
from .ranking.projection import Projection
from .ranking.redis import RedisWindows
from .ranking.scoreboards import Scoreboards
from .ranking.shared import Lives, SharedIndex
from .ranking.shared_projection import SharedProjection
from .ranking.sql import SqlIndex
from .shared import Store, parse_address
from .shared.cache import ReadThrough
from .shared.claims import Claims
from .telemetry import Pace
from .web.forwarded import ForwardedHeader
from .web.guesses import Guesses
from .web.issuers import parse_issuers
from .web.keyring import Keyring
from .web.limits import RateLimit
from .web.login_audit import LoginAudit
from .web.origins import Origins
from .web.outsiders import Outsiders
from .web.passwords import Passwords
from .web.seal import Seal
from .web.services import EdgeOptions, Limits, Services
from .web.shared_limits import SharedLimits
from .web.ticket_office import TicketOffice
from .web.tokens import Tokens

log = structlog.get_logger(__name__)

CATALOGUE_SECONDS = 3_600.0
"""What a node holds of action types and boards is read anew then, whether or not it has heard of a change."""
SETTLE_SECONDS = 0.8
"""How long an operator waits for nodes to take a change, at most: longer than they go without reading the journal."""


@dataclass(slots=True)
class Condition:
    """What keeps a node from serving, and what it serves without, in words.

    `degradable` are the parts that a node can do without for a while; each answers what it lacks.
    """

    loaded: bool = False
    stopping: bool = False
    lost: list[str] = field(default_factory=list)
    degradable: list[Callable[[], list[str]]] = field(default_factory=list)

    def missing(self) -> list[str]:
        reasons = list(self.lost)
        if not self.loaded:
            reasons.append("the index is being loaded")
        if self.stopping:
            reasons.append("the node is stopping")
        return reasons

    def degraded(self) -> list[str]:
        return [lack for part in self.degradable for lack in part()]


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of a node."""

    services: Services
    journal: Journal
    condition: Condition
    store: Store | None = None
    """Redis, when several nodes share it; the bus with it."""
    bus: Bus | None = None
    bell: Bell = field(default_factory=Bell)
    """Rung when the journal should be read now."""
    shared_limits: SharedLimits | None = None
    user_sockets: SharedUserSockets | None = None


def _hub(settings: Settings, scoreboards: Scoreboards, catalogue: Catalogue, directory: Directory) -> Hub:
    sources = Sources(
        top=refused_when_it_fails(scoreboards.top),
        top_as=refused_when_it_fails(scoreboards.ready_as),
        places=refused_when_it_fails(scoreboards.places),
        names=refused_when_it_fails(directory.people),
        boards=lambda: catalogue.boards,
        type_ids=lambda: {name: kind.id for name, kind in catalogue.types.items()},
        blocked=lambda: directory.blocked,
        shadowed=lambda: directory.shadowed,
    )
    seats = Seats(limit=settings.sockets, per_address=settings.sockets_per_address, per_user=settings.sockets_per_user)
    return Hub(
        sources, seats, frames_per_second=settings.frames_per_second, drain_seconds=float(settings.drain_seconds)
    )


def _projecting(projection: Projection | SharedProjection, hub: Hub) -> Project:
    """What the writer calls with what it has committed: the index first, then those who watch."""

    async def project(batch: CommittedBatch) -> Mapping[int, Placement]:
        placements = await projection.project(batch)
        hub.completed(batch)
        return placements

    return project


@dataclass(frozen=True, slots=True)
class _Ranks:
    """What answers ranks, what feeds it, and who shows them."""

    index: MemoryIndex | SharedIndex
    projection: Projection | SharedProjection
    scoreboards: Scoreboards
    hub: Hub


@dataclass(frozen=True, slots=True)
class _Door:
    """Who may enter, and how often."""

    tokens: Tokens
    ticket_office: TicketOffice
    keyring: Keyring
    guesses: Guesses
    limits: Limits


async def assemble(settings: Settings, pool: Pool) -> Node:
    """Build every part of a node on a migrated ledger."""
    ledger = await ledger_parts(settings, pool)
    store = Store(parse_address(settings.redis_url), await read_ledger_id(pool)) if settings.redis_url else None
    ranks = _ranks(settings, ledger, store)
    door = await _door(settings, ledger, store)
    writer = _writer(settings, ledger, ranks)
    live_settings = await _live_settings(settings, ledger, door.limits, ranks.hub, writer)
    bell = Bell()
    bus = _bus(store, ledger.node_id, ranks.hub, ledger.catalogue, bell)
    if bus is not None:
        ranks.projection.listeners.append(bus.moved)
    shared_limits = _shared_limits(store, door.limits, door.guesses)
    user_sockets = _user_sockets(store, ledger.node_id, ranks.hub)
    condition = _condition(ledger, ranks, bus, shared_limits)
    services = _services(settings, ledger, ranks, door, writer, live_settings, condition, _settle(ledger, bell, bus))
    return Node(services, ledger.journal, condition, store, bus, bell, shared_limits, user_sockets)


def _ranks(settings: Settings, ledger: LedgerParts, store: Store | None) -> _Ranks:
    index, projection = _index(store, ledger.catalogue, ledger.pool, ledger.node_id, ledger.last_batch)
    scoreboards = Scoreboards(index, ledger.catalogue, ledger.directory, ledger.reads)
    hub = _hub(settings, scoreboards, ledger.catalogue, ledger.directory)
    projection.listeners.append(hub.moved)
    return _Ranks(index, projection, scoreboards, hub)


async def _door(settings: Settings, ledger: LedgerParts, store: Store | None) -> _Door:
    keyring = Keyring(ledger.api_keys, Seal(settings.seal_key))
    await keyring.refresh()
    tokens, ticket_office = Tokens(settings.token_seconds), TicketOffice()
    signing_keys = await ledger.accounts.signing_keys()
    tokens.use(signing_keys)
    ticket_office.use(signing_keys)
    limits = Limits(
        RateLimit("user", settings.user_rate),
        RateLimit("key", settings.key_rate),
        RateLimit("address", settings.address_rate),
        RateLimit("login", settings.login_rate),
        RateLimit("probe", settings.probe_rate),
    )
    guesses = Guesses(settings.account_rate, settings.network_rate, settings.failure_rate, store)
    return _Door(tokens, ticket_office, keyring, guesses, limits)


def _writer(settings: Settings, ledger: LedgerParts, ranks: _Ranks) -> Writer:
    return Writer(
        ledger.pool,
        ledger.catalogue,
        ledger.receipts,
        _projecting(ranks.projection, ranks.hub),
        ledger.node_id,
        lanes=lanes_of(settings),
        queue_limit=settings.queue_limit,
        confirm=ranks.projection.confirm,
        in_doubt=ledger.journal.expect,
    )


def _condition(ledger: LedgerParts, ranks: _Ranks, bus: Bus | None, shared_limits: SharedLimits | None) -> Condition:
    condition = Condition(degradable=[ledger.reads.degraded])
    if shared_limits is not None:
        condition.degradable.append(shared_limits.lacks)
    if bus is not None:
        condition.degradable.append(bus.lacks)
    if isinstance(ranks.projection, SharedProjection):
        condition.degradable.append(ranks.projection.lacks)
    return condition


def _services(
    settings: Settings,
    ledger: LedgerParts,
    ranks: _Ranks,
    door: _Door,
    writer: Writer,
    live_settings: SettingsStore,
    condition: Condition,
    settle: Callable[[], Awaitable[None]],
) -> Services:
    pool, catalogue, node_id = ledger.pool, ledger.catalogue, ledger.node_id
    outsiders = Outsiders(
        parse_issuers(settings.issuers), ledger.accounts, lambda: live_settings.current.registration_open
    )
    revocations = ledger.revocations
    revocations.on_floor_raised(lambda: door.tokens.expire_older(revocations.floor))
    revocations.on_floor_raised(outsiders.forget)
    return Services(
        pool=pool,
        accounts=ledger.accounts,
        sessions=Sessions(pool),
        revocations=revocations,
        api_keys=ledger.api_keys,
        keyring=door.keyring,
        ticket_office=door.ticket_office,
        outsiders=outsiders,
        catalogue=catalogue,
        ready_types=ReadThrough("action_types", seconds=CATALOGUE_SECONDS, limit=1),
        type_editor=TypeEditor(pool, catalogue, node_id),
        board_editor=BoardEditor(pool, catalogue, node_id),
        user_editor=UserEditor(pool, node_id),
        live_settings=live_settings,
        pace=Pace(),
        directory=ledger.directory,
        people=People(ledger.reads),
        reads=ledger.reads,
        readers=Readers(ledger.reads),
        receipts=ledger.receipts,
        writer=writer,
        index=ranks.index,
        projection=ranks.projection,
        scoreboards=ranks.scoreboards,
        archive=Archive(ledger.reads, catalogue, ledger.directory),
        hub=ranks.hub,
        tokens=door.tokens,
        passwords=Passwords(settings.password_workers),
        guesses=door.guesses,
        login_audit=LoginAudit(pool),
        limits=door.limits,
        options=EdgeOptions(
            settings.refresh_days,
            settings.trusted_proxies,
            settings.access_log,
            Origins(settings.allowed_origins),
            forwarded_header=cast("ForwardedHeader", settings.forwarded_header),
        ),
        missing=condition.missing,
        degraded=condition.degraded,
        settle=settle,
    )


def _user_sockets(store: Store | None, node_id: UUID, hub: Hub) -> SharedUserSockets | None:
    if store is None:
        return None
    return SharedUserSockets(Claims(store, "sockets", node_id.hex), hub.seats, hub.keep_oldest)


def _shared_limits(store: Store | None, limits: Limits, guesses: Guesses) -> SharedLimits | None:
    return (
        None
        if store is None
        else SharedLimits(
            store, [limits.user, limits.key, limits.address, limits.login, *guesses.limits], guesses.known
        )
    )


def _index(
    store: Store | None, catalogue: Catalogue, pool: Pool, node_id: UUID, last_batch: int
) -> tuple[MemoryIndex, Projection] | tuple[SharedIndex, SharedProjection]:
    """What answers ranks, and what feeds it: in this process, or in Redis for several nodes."""
    if store is None:
        # Batch ids outnumber the seqs of any window, so a seq never goes back over a restart.
        memory = MemoryIndex(epoch=node_id.hex[:12], first_seq=last_batch)
        return memory, Projection(memory, catalogue, pool)
    windows, lives = RedisWindows(store), Lives(pool)
    shared = SharedIndex(windows, SqlIndex(pool), lives)
    return shared, SharedProjection(windows, shared, lives, catalogue, pool)


def _bus(store: Store | None, node_id: UUID, hub: Hub, catalogue: Catalogue, bell: Bell) -> Bus | None:
    """What this node hears of the others moves its screens and has its journal read; None without Redis."""
    if store is None:
        return None

    def again() -> None:
        bell.ring()
        for slug in catalogue.boards:
            hub.refresh(slug)

    return Bus(store, node_id.hex, Listener(top=hub.refresh, news=bell.ring, again=again))


def _settle(ledger: LedgerParts, bell: Bell, bus: Bus | None) -> Callable[[], Awaitable[None]]:
    async def settle() -> None:
        here = asyncio.Event()
        bell.ring(here.set)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                took = await _told_by(bus)
                if {node.hex for node in await running_nodes(ledger.pool, ledger.node_id)} - took and (
                    await wait_for_nodes(ledger.pool, SETTLE_SECONDS, but=ledger.node_id)
                ):
                    raise TimeoutError
                await here.wait()
        except (TimeoutError, LaurelsError):
            log.warning("a change is journalled, and not yet taken by every node")

    return settle


async def _told_by(bus: Bus | None) -> frozenset[str]:
    """Return the nodes that have taken what the bus told them. Those it does not reach are waited for in the ledger."""
    if bus is None or not bus.is_up:
        return frozenset()
    try:
        async with asyncio.timeout(SETTLE_SECONDS / 2):
            return await bus.settle()
    except TimeoutError:
        return frozenset()


async def _live_settings(
    settings: Settings, ledger: LedgerParts, limits: Limits, hub: Hub, writer: Writer
) -> SettingsStore:
    """What may change while the node runs, and who follows it."""

    def follow(now: LiveSettings) -> None:
        limits.user.allow(now.user_rate)
        limits.key.allow(now.key_rate)
        limits.address.allow(now.address_rate)
        limits.login.allow(now.login_rate)
        hub.pace(now.frames_per_second)
        writer.watch.thresholds = Thresholds(
            user_per_minute=now.hold_user_rate, address_per_minute=now.hold_address_rate
        )

    store = SettingsStore(ledger.pool, LiveSettings.of(settings), ledger.node_id)
    store.listeners.append(follow)
    follow(store.current)
    await store.refresh()
    return store
