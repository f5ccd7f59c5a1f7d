"""The rows: what is broken, and how long nothing may be acknowledged because of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import ssl
from collections.abc import AsyncIterator

from tests.faults.partitions import PARTITION_ROWS
from tests.faults.row import Row
from tests.faults.scene import Scene

EDGE_SECONDS = 1.5
"""After a second the edge asks a node again that has failed: only then may the next one go."""

_WANTED = b'{"type":"subscribe","channel":"board:points","size":100}'
_FOLLOW = bytes((0x81, 0x80 | len(_WANTED))) + bytes(4) + _WANTED
"""A client's text frame, its mask all zero."""

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def _node(scene: Scene, dice: random.Random) -> str:
    return f"node-{dice.randint(1, len(scene.nodes))}"


@contextlib.asynccontextmanager
async def node_killed(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    name = _node(scene, dice)
    await scene.kill(name)
    yield
    await scene.start(name)


@contextlib.asynccontextmanager
async def node_frozen(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    name = _node(scene, dice)
    await scene.freeze(name)
    yield
    await scene.thaw(name)


@contextlib.asynccontextmanager
async def rolling_restart(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    order = [f"node-{n}" for n in range(1, len(scene.nodes) + 1)]
    dice.shuffle(order)
    for name in order:
        await scene.stop(name)
        await scene.start(name)
        await asyncio.sleep(EDGE_SECONDS)
    yield


@contextlib.asynccontextmanager
async def redis_killed(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    name = scene.redis_primary()
    await scene.kill(name)
    yield
    await scene.start(name)


@contextlib.asynccontextmanager
async def redis_frozen(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    name = scene.redis_primary()
    await scene.freeze(name)
    yield
    await scene.thaw(name)


@contextlib.asynccontextmanager
async def redis_empty(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Both Redis die and come back without what they held."""
    names = [scene.redis_primary()]
    names += [name for name in ("redis-1", "redis-2") if name not in names]
    await scene.kill(*names)
    for name in names:
        for file in (scene.layout.folder / name / "appendonlydir").glob("*"):
            file.unlink()
    await scene.start(*names[:1])
    await scene.start(*names[1:])
    yield


@contextlib.asynccontextmanager
async def database_crashed(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """The server's processes die; Patroni lives on and sees it."""
    for pid in scene.postmaster(scene.primary()):
        os.kill(pid, signal.SIGKILL)
    yield


@contextlib.asynccontextmanager
async def database_node_killed(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Server and Patroni die together, as when a machine loses power."""
    name = scene.primary()
    await scene.kill(name)
    yield
    await scene.start(name)


@contextlib.asynccontextmanager
async def database_node_frozen(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """It holds its connections and says nothing; when it thaws it believes to be primary still."""
    name = scene.primary()
    await scene.freeze(name)
    yield
    await scene.thaw(name)


@contextlib.asynccontextmanager
async def switchover(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    await scene.switch_over()
    yield


@contextlib.asynccontextmanager
async def standby_lost(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """The synchronous one: the third must take its place before anything is acknowledged."""
    name = scene.standby(synchronous=True)
    await scene.kill(name)
    yield
    await scene.start(name)


@contextlib.asynccontextmanager
async def both_standbys_lost(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Strict: nothing is acknowledged until one is back."""
    names = [scene.standby(synchronous=True), scene.standby(synchronous=False)]
    await scene.kill(*names)
    yield
    await scene.start(*names)


@contextlib.asynccontextmanager
async def etcd_frozen(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    names = ("etcd-1", "etcd-2", "etcd-3")
    await scene.freeze(*names)
    yield
    await scene.thaw(*names)


@contextlib.asynccontextmanager
async def log_engine_down(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    await scene.kill("search")
    yield
    await scene.start("search")


@contextlib.asynccontextmanager
async def edge_reloaded(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Reload the configuration, as for new certificates or nodes; clients do not notice."""
    leader = scene.supervisor.family(scene.supervisor.part("edge"))[0]
    leader.send_signal(signal.SIGHUP)
    yield


@contextlib.asynccontextmanager
async def slowloris(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Two hundred connections that never finish a request."""
    port, wires = scene.layout.port("https"), []
    for _ in range(200):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=scene.tls, server_hostname="localhost")
        writer.write(b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        wires.append(writer)
    yield
    for writer in wires:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def connection_storm(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """A hundred handshakes at once, again and again, that ask nothing."""

    async def knock() -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", scene.layout.port("https"), ssl=scene.tls, server_hostname="localhost"
            )
            writer.transport.abort()

    async def storm() -> None:
        while True:
            await asyncio.gather(*(knock() for _ in range(100)))

    task = asyncio.create_task(storm())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def slow_readers(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Fifty sockets that follow the board and never read."""
    sockets = []
    for _ in range(50):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", scene.layout.port("node")))
        head = "GET /api/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(plain, head.encode() + _FOLLOW)
        sockets.append(plain)
    yield
    for plain in sockets:
        plain.close()


@contextlib.asynccontextmanager
async def clock_wrong(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """One node's clock is ten minutes ahead: what counts and when is decided by the ledger's."""
    name = _node(scene, dice)
    await scene.stop(name)
    wrong = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+600s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await scene.start_with(name, wrong)
    yield
    await scene.stop(name)
    await scene.start(name)


ROWS = (
    Row("node killed in the middle of batches (kill -9)", node_killed, gap=1),
    Row("node frozen and thawed", node_frozen, gap=2, hold=8),
    Row("rolling restart of all nodes, sockets open", rolling_restart, gap=1, hold=0, flawless=True),
    Row("edge reloads its configuration", edge_reloaded, gap=1, hold=2),
    Row("Redis primary killed", redis_killed, gap=1, hold=8),
    Row("Redis primary frozen", redis_frozen, gap=1, hold=8),
    Row("both Redis restarted empty", redis_empty, gap=1),
    Row("PostgreSQL primary's processes killed", database_crashed, gap=5, hold=8),
    Row("PostgreSQL primary's node killed", database_node_killed, gap=25, hold=26),
    Row("PostgreSQL primary's node frozen", database_node_frozen, gap=25, hold=30),
    Row("planned switchover", switchover, gap=2, hold=3),
    Row("synchronous standby lost", standby_lost, gap=15, hold=15),
    Row("both standbys lost (nothing may be acknowledged)", both_standbys_lost, gap=60, hold=10),
    Row("etcd frozen for 30 s", etcd_frozen, gap=5, hold=30),
    Row("search engine for logs killed", log_engine_down, gap=1),
    Row("one node's clock ten minutes ahead (libfaketime)", clock_wrong, gap=1),
    Row("slowloris: 200 heads never finished", slowloris, gap=1),
    Row("connection storm", connection_storm, gap=2),
    Row("50 sockets that follow the board and never read", slow_readers, gap=1, hold=15),
    *PARTITION_ROWS,
)
