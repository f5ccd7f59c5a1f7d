"""The environment of a row: an edge, nodes, a database, each of which can be broken and repaired."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
from deploy.cluster.layout import DATABASES, NODES, REDIS, patroni
from deploy.cluster.part import Unhealthy, fetch
from deploy.cluster.parts import database
from deploy.cluster.supervisor import Supervisor

from tests.faults.resources import Held, held

HEALTHY_SECONDS = 180.0
"""A search engine on two busy cores needs most of it."""


class Scene:
    """The whole cluster, in words of what a row does to it. Every verb returns when it is done."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.layout = supervisor.layout
        self.url = self.layout.url
        self.tls = ssl.create_default_context(cafile=self.layout.authority)
        self.nodes = [self.layout.address("node", number) for number in NODES]

    async def kill(self, *names: str) -> None:
        """SIGKILL to all processes of the parts."""
        for name in names:
            await asyncio.to_thread(self.supervisor.kill, self.supervisor.part(name))

    async def stop(self, name: str) -> None:
        await asyncio.to_thread(self.supervisor.stop, self.supervisor.part(name))

    async def start(self, *names: str) -> None:
        """Start parts, and wait for their health."""
        for name in names:
            await asyncio.to_thread(self.supervisor.launch, self.supervisor.part(name))
        await self.healthy(names)

    async def start_with(self, name: str, environment: Mapping[str, str]) -> None:
        """Start one part with more in its environment, until it is stopped."""
        part = self.supervisor.part(name)
        changed = replace(part, environment={**part.environment, **environment})
        await asyncio.to_thread(self.supervisor.launch, changed)
        await self.healthy([name])

    async def freeze(self, *names: str) -> None:
        for name in names:
            self.supervisor.signal(self.supervisor.part(name), signal.SIGSTOP)

    async def thaw(self, *names: str) -> None:
        for name in names:
            self.supervisor.signal(self.supervisor.part(name), signal.SIGCONT)

    async def healthy(self, names: Sequence[str] = ()) -> None:
        """Wait until the parts (all of them by default) are well and a standby is synchronous."""
        deadline = asyncio.get_running_loop().time() + HEALTHY_SECONDS
        while unwell := await asyncio.to_thread(self._unwell, set(names)):
            assert asyncio.get_running_loop().time() < deadline, f"not healthy: {unwell}"
            await asyncio.sleep(0.3)

    def _unwell(self, names: set[str]) -> list[str]:
        seen = [one for one in self.supervisor.check_all() if not names or one.name in names]
        found = [f"{one.name}: {one.state}" for one in seen if not one.healthy]
        states = [one.state for one in seen if one.name.startswith("postgres-") and one.layer == "database"]
        if not names and sorted(states) != ["primary", "standby", "synchronous standby"]:
            found.append(f"database nodes are {states}")
        return found

    def primary(self) -> str:
        return f"postgres-{database.primary(self.layout)}"

    def standby(self, *, synchronous: bool) -> str:
        wanted = "synchronous standby" if synchronous else "standby"
        for number in DATABASES:
            part = self.supervisor.part(f"postgres-{number}")
            if self.supervisor.check(part).state == wanted:
                return part.name
        raise Unhealthy(f"no {wanted}")

    def postmaster(self, name: str) -> list[int]:
        """The database server's own process, without Patroni."""
        return list(self.supervisor.part(name).strays())

    def redis_primary(self) -> str:
        for number in REDIS:
            part = self.supervisor.part(f"redis-{number}")
            if self.supervisor.check(part).state == "primary":
                return part.name
        raise Unhealthy("no Redis is primary")

    async def switch_over(self) -> None:
        """Ask Patroni for another primary, as before maintenance."""
        config = self.layout.folder / self.primary() / "patroni.yml"
        process = await asyncio.create_subprocess_exec(
            patroni(self.layout) / "patronictl",
            "-c",
            str(config),
            "switchover",
            "--force",
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0

    def machine(self, name: str) -> str:
        return self.supervisor.part(name).machine

    async def cut(self, machine: str, others: Iterable[str]) -> None:
        """Let nothing pass between a machine and others, until `mend`."""
        await asyncio.to_thread(self.supervisor.network.cut, machine, others)

    async def mend(self) -> None:
        await asyncio.to_thread(self.supervisor.network.heal)

    def held(self) -> dict[str, Held]:
        """Return the current resources of nodes and edge."""
        names = ["edge", *(f"node-{number}" for number in NODES)]
        return {name: held(self.supervisor.family(self.supervisor.part(name))) for name in names}

    async def truth(self) -> asyncpg.Connection:
        """A connection to the primary that sees everything."""
        number = int(self.primary().removeprefix("postgres-"))
        password = self.layout.secret("postgres-superuser")
        return await asyncpg.connect(
            host=self.layout.host("postgres", number),
            port=self.layout.port("postgres", number),
            user="postgres",
            password=password,
            database="laurels",
            timeout=5,
        )

    async def board_of(self, node: str) -> list[tuple[str, int]]:
        """The top 100 as one node tells it."""
        status, body = await asyncio.to_thread(fetch, node, "/api/scoreboard?limit=100")
        assert status == 200, body
        rows: list[dict[str, Any]] = json.loads(body)["rows"]
        return [(row["username"], row["score"]) for row in rows]
