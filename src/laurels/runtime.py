"""Run a node: settings in, one running node out, its parts started and stopped in order.

Start: PostgreSQL, migrations, bootstrap, index, lanes and followers, HTTP.
Stop:  live sockets closed over a while, no new connections, running requests answered, queue drained,
       PostgreSQL stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from . import telemetry
from .background import Background
from .config import Settings
from .database import database
from .domain.errors import LaurelsError
from .event_loop import stopped_by_signals
from .first_admin import FirstAdmin, make_first_admin
from .ledger.db.pool import Pool
from .ledger.events import propagation
from .node import Node, assemble
from .ranking.projection_types import OnProgress
from .redis_store import RedisUnavailable, RedisUnusable
from .start_errors import StartError
from .web.api.routes import ROUTES
from .web.http.server import HttpServer
from .web.http.server import serve as serve_http
from .web.pipeline.route import Route
from .web.pipeline.routing import application
from .web.roles import health_only, routes_of, without_metrics

log = structlog.get_logger(__name__)

GC_THRESHOLD = 20_000
"""Allocations between two collections of young objects (CPython: 700): requests make few cycles."""
DRAIN_SECONDS = 10.0
"""How long running requests may take once the node stops."""
IDLE_SECONDS = 75.0
"""How long a connection without a request stays open: longer than common proxies keep theirs."""
END_SECONDS = 2.0
"""How long a chore may take to end before it is cancelled again."""


OnReady = Callable[[str, FirstAdmin | None], None]
"""Called with the address, and the first admin if one was made."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """The bound sockets. `health`: health checks and metrics of this process alone."""

    public: socket.socket
    health: socket.socket | None


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The tasks beside requests, in the order in which they are stopped: chores, then those that drain a queue."""

    chores: list[asyncio.Task[None]]
    lanes: asyncio.Task[None]
    hub: asyncio.Task[None]


async def serve(
    settings: Settings,
    *,
    on_ready: OnReady = lambda address, admin: None,
    on_node: Callable[[str, Node], None] = lambda address, node: None,
    on_load: OnProgress = lambda done, total: None,
    stop: asyncio.Event | None = None,
    parent_pipe: int | None = None,
    shows_password: bool = True,
) -> None:
    """Run a node until SIGINT, SIGTERM, `stop`, or the end of `parent_pipe`, a pipe that the parent process holds.

    `on_load` gets the progress of loading the index. `shows_password`: `on_ready` shows the first admin's password to
    a person; otherwise it is written to a file.
    Raises StartError or DatabaseUnusable when it can't start.
    """
    stopping = stop or asyncio.Event()
    with stopped_by_signals(stopping):
        if parent_pipe is not None:
            _stop_when_parent_ends(parent_pipe, stopping)
        # The ports are bound first: a second start must not touch the data of the first.
        with _bound(settings) as ports:
            await _serve(settings, ports, stopping, on_ready, on_node, on_load, shows_password=shows_password)


async def _serve(
    settings: Settings,
    ports: _Ports,
    stopping: asyncio.Event,
    on_ready: OnReady,
    on_node: Callable[[str, Node], None],
    on_load: OnProgress,
    *,
    shows_password: bool,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with _ended_by(stopping):
            pool = await stack.enter_async_context(database(settings, own=True, create=True))
            node = await _assembled(settings, pool, stack)
            await node.parts.projection.load(on_load)
            await node.parts.scoreboards.remember_snapshot()
        if not stopping.is_set():
            node.readiness.loaded = True
            await _run(settings, node, ports, stopping, on_ready, on_node, shows_password=shows_password)


async def _assembled(settings: Settings, pool: Pool, stack: contextlib.AsyncExitStack) -> Node:
    """Build the node. Start without a Redis that does not answer; it is used once it does.

    Raises StartError when Redis can't be used as configured.
    """
    try:
        node = await assemble(settings, pool)
        stack.push_async_callback(node.parts.reads.close)
        if node.store is not None:
            stack.push_async_callback(node.store.close)
            await node.store.check()
    except RedisUnusable as error:
        raise StartError(str(error)) from error
    except RedisUnavailable as away:
        log.warning("Redis does not answer yet", reason=str(away))
    return node


@contextlib.asynccontextmanager
async def _ended_by(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Leave the block early, without an error, once the node should stop."""

    async def give_up() -> None:
        await stopping.wait()
        deadline.reschedule(asyncio.get_running_loop().time())

    deadline = asyncio.timeout(None)
    watcher = asyncio.create_task(give_up(), name="stop-while-starting")
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        log.info("stopped before it was ready")
    finally:
        watcher.cancel()


async def _run(
    settings: Settings,
    node: Node,
    ports: _Ports,
    stopping: asyncio.Event,
    on_ready: OnReady,
    on_node: Callable[[str, Node], None],
    *,
    shows_password: bool,
) -> None:
    parts = node.parts
    background = Background(settings, node)
    async with asyncio.TaskGroup() as tasks:
        running = _Tasks(
            lanes=tasks.create_task(parts.writer.run(), name="ledger-lanes"),
            hub=tasks.create_task(parts.hub.run(), name="live-hub"),
            chores=background.start(tasks),
        )
        server = await _listen(settings, node, ports.public)
        health = None if ports.health is None else await _serve_routes(health_only(ROUTES), node, ports.health)
        _settle_garbage_collector()
        telemetry.READY.set(1)
        on_ready(
            _address(ports.public),
            await make_first_admin(parts.accounts, parts.passwords, settings, shown=shows_password),
        )
        on_node(_address(ports.public), node)
        await _until(stopping, running.lanes)
        await _drain(node, server, running)
        if health is not None:
            await health.close()


def _settle_garbage_collector() -> None:
    """Keep what start-up made out of collections, since it lives as long as the node, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)


async def _until(stopping: asyncio.Event, lanes: asyncio.Task[None]) -> None:
    waiter = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiter, lanes}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


async def _drain(node: Node, server: HttpServer, running: _Tasks) -> None:
    """Stop in an order in which nothing that was accepted is lost."""
    log.info("stopping")
    telemetry.READY.set(0)
    node.readiness.stopping = True
    parts = node.parts
    # Sockets first, while requests are still answered: new ones are refused, so clients reconnect to another node.
    parts.hub.close()
    await parts.hub.drained()
    await server.stop_listening()
    await _end(running.chores)
    await server.close()
    parts.writer.close()
    await running.lanes
    await running.hub
    parts.passwords.close()
    with contextlib.suppress(LaurelsError):  # without the ledger the entry of this node expires by itself
        await parts.login_audit.flush()
        await propagation.leave(parts.pool, node.journal.node)
    log.info("stopped")


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: a library may swallow a cancellation, or wait for a server while it cleans up."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=END_SECONDS)


async def _listen(settings: Settings, node: Node, listener: socket.socket) -> HttpServer:
    routes = routes_of(settings.role, ROUTES)
    hides_metrics = settings.workers > 1 or settings.metrics_private
    return await _serve_routes(without_metrics(routes) if hides_metrics else routes, node, listener)


async def _serve_routes(routes: Sequence[Route], node: Node, listener: socket.socket) -> HttpServer:
    app = application(routes, node.parts.pipeline, node.contexts)
    return await serve_http(app, listener, drain_seconds=DRAIN_SECONDS, idle_seconds=IDLE_SECONDS)


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[_Ports]:
    """Bind both ports. That of health does not listen yet: checks are refused, not kept waiting, until it answers."""
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(bind(settings.host, settings.port, shared=settings.workers > 1))
        health = None
        if settings.metrics_port:
            own = bind(settings.host, settings.metrics_port, listen=False, setting="LAURELS_METRICS_PORT")
            health = stack.enter_context(own)
        yield _Ports(public, health)


def bind(
    host: str, port: int, *, shared: bool = False, listen: bool = True, setting: str = "LAURELS_PORT"
) -> socket.socket:
    """Return a socket bound to an address; `shared` with the other workers of this machine. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        if listen:
            listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartError(
            f"can't listen on {host}:{port}: {error.strerror} (stop what runs there, or set {setting})"
        ) from error
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop_when_parent_ends(pipe: int, stopping: asyncio.Event) -> None:
    """Stop when the parent has ended, in whatever way: then the pipe has no writer."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(pipe, 64)
        except ConnectionError:  # the parent ended without reading what was written to it
            data = b""
        if not data:
            loop.remove_reader(pipe)
            stopping.set()

    loop.add_reader(pipe, read)
