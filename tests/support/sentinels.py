"""A Redis primary, its replica and three sentinels, as real processes on free ports."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import redis as client

from tests.support.ports import free_block
from tests.support.redis import REDIS_SERVER, RedisServer

MASTER = "laurels"
DOWN_AFTER_MS = 1_000
START_SECONDS = 90.0


class SentinelGroup:
    """Two of three sentinels decide that a primary is down. `url` is what a node is given as REDIS_URL."""

    def __init__(self, folder: Path) -> None:
        block = free_block()
        self._folder = folder
        self._redis_ports = (block, block + 1)
        self._ports = tuple(range(block + 2, block + 5))
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._ports)}/{MASTER}"
        self._servers = [self._server(port) for port in self._redis_ports]
        self._sentinels: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        primary, replica = self._redis_ports
        with _client(replica) as connection:
            connection.replicaof("127.0.0.1", primary)
        _wait(lambda: self._is_linked(replica), "the replica did not link")
        for port in self._ports:
            self._sentinels.append(self._sentinel(port))
        _wait(self._agree, "the sentinels did not find each other and the replica")
        return self

    def __exit__(self, *_: object) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait(timeout=START_SECONDS)
        for server in self._servers:
            server.kill()

    def primary_port(self) -> int:
        """Return the address that the sentinels give to clients."""
        with _client(self._ports[0]) as connection:
            _, port = connection.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return int(port)

    def kill_primary(self) -> int:
        """SIGKILL; the port that it had."""
        port = self.primary_port()
        self._servers[self._redis_ports.index(port)].kill()
        return port

    def _server(self, port: int) -> RedisServer:
        folder = self._folder / f"redis-{port}"
        folder.mkdir()
        return RedisServer(folder, port=str(port), **{"repl-diskless-sync-delay": "0"})

    def _sentinel(self, port: int) -> subprocess.Popen[bytes]:
        config = self._folder / f"sentinel-{port}.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {port}\ndir {self._folder}\nlogfile {config}.log\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {self._redis_ports[0]} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 6000\n"
        )
        return subprocess.Popen([REDIS_SERVER, str(config), "--sentinel"], stdout=subprocess.DEVNULL)

    def _is_linked(self, port: int) -> bool:
        with _client(port) as connection:
            return bool(connection.info("replication").get("master_link_status") == "up")

    def _agree(self) -> bool:
        for port in self._ports:
            try:
                with _client(port) as connection:
                    told = connection.execute_command("SENTINEL", "MASTER", MASTER)
            except client.ConnectionError:
                return False
            if (int(told["num-slaves"]), int(told["num-other-sentinels"])) != (1, len(self._ports) - 1):
                return False
        return True


def _client(port: int) -> client.Redis:
    return client.Redis(port=port, decode_responses=True, socket_timeout=5)


def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
