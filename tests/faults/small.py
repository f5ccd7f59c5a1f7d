"""A scene that starts in seconds: the edge, two nodes, one PostgreSQL, and a wire between them that can be harmed."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
from deploy.cluster.part import fetch

from tests.edge.conftest import Edge
from tests.faults.resources import Held, held
from tests.support.fault_proxy import FaultProxy
from tests.support.server import LaurelsServer

HEALTHY_SECONDS = 30.0


def database_wire(url: str) -> FaultProxy:
    """A wire to the database whose address names the folder of its socket."""
    return FaultProxy(Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432")


class SmallScene:
    """Verbs as in Scene, for nodes; `wire` harms what passes between nodes and PostgreSQL."""

    def __init__(self, database_url: str, wire: FaultProxy, folder: Path) -> None:
        self._database_url = database_url
        self.wire = wire
        through_wire = f"postgresql://postgres@127.0.0.1:{wire.port}{urlsplit(database_url).path}"
        self._servers = {f"node-{n}": LaurelsServer(through_wire, folder / f"node-{n}.log") for n in (1, 2)}
        self.nodes = [f"127.0.0.1:{server.port}" for server in self._servers.values()]
        self.url = ""
        self.tls: ssl.SSLContext | bool = True

    async def open(self, open_edge: Callable[[list[str]], Edge]) -> None:
        await self.start(*self._servers)
        edge = await asyncio.to_thread(open_edge, self.nodes)
        self.url, self.tls = edge.layout.url, edge.tls

    async def close(self) -> None:
        for server in self._servers.values():
            if server.process is not None and server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
                await asyncio.to_thread(server.stop)

    async def kill(self, name: str) -> None:
        await asyncio.to_thread(self._servers[name].kill)

    async def stop(self, name: str) -> None:
        await asyncio.to_thread(self._servers[name].stop)

    async def start(self, *names: str) -> None:
        await asyncio.gather(*(asyncio.to_thread(self._servers[name].start) for name in names))

    async def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    async def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self._servers[name].process
        assert process is not None
        process.send_signal(number)

    async def healthy(self) -> None:
        """Wait until both nodes say that they serve."""
        deadline = asyncio.get_running_loop().time() + HEALTHY_SECONDS
        while (states := [await self._ready(node) for node in self.nodes]) != [True, True]:
            assert asyncio.get_running_loop().time() < deadline, states
            await asyncio.sleep(0.1)

    async def _ready(self, node: str) -> bool:
        status, _ = await asyncio.to_thread(fetch, node, "/readyz")
        return status == 200

    async def mend(self) -> None:
        self.wire.heal()

    def held(self) -> dict[str, Held]:
        """Return the current resources of the nodes."""
        running = {name: server.process for name, server in self._servers.items() if server.process is not None}
        return {name: held([psutil.Process(process.pid)]) for name, process in running.items()}

    async def truth(self) -> asyncpg.Connection:
        """A connection past the wire."""
        return await asyncpg.connect(self._database_url)

    async def board_of(self, node: str) -> list[tuple[str, int]]:
        status, body = await asyncio.to_thread(fetch, node, "/api/scoreboard?limit=100")
        assert status == 200, body
        rows: list[dict[str, Any]] = json.loads(body)["rows"]
        return [(row["username"], row["score"]) for row in rows]
