"""A real Redis server of a test's own, and what can happen to one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import redis as client
import redis.asyncio as async_client

START_SECONDS = 60.0
REDIS_SERVER = os.environ.get("REDIS_SERVER") or shutil.which("redis-server") or "redis-server"
"""Name another one in the environment, such as valkey-server, to hold it to the same promises."""


class RedisServer:
    """One process on a unix socket in `folder`, without persistence. `options` are those of redis.conf."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._log = folder / "redis.log"
        self._options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "logfile": str(self._log),
            **options,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        self.process = subprocess.Popen([REDIS_SERVER, *arguments], stdout=subprocess.DEVNULL)
        try:
            self._wait_until_it_answers(self.process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Send SIGTERM and wait. Stopping a server that is not running is not an error."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what it held in memory is gone."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: it takes connections and bytes, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Everything it holds, gone; the process lives on."""
        with client.Redis(unix_socket_path=str(self.socket)) as connection:
            connection.flushall()

    def configure(self, name: str, value: str) -> None:
        """CONFIG SET: `maxmemory`, `maxmemory-policy`, …"""
        with client.Redis(unix_socket_path=str(self.socket)) as connection:
            connection.config_set(name, value)

    def client(self) -> async_client.Redis:
        """A connection of the test's own."""
        return async_client.Redis(unix_socket_path=str(self.socket))

    def _answers(self) -> bool:
        try:
            with client.Redis(unix_socket_path=str(self.socket)) as connection:
                return bool(connection.ping())
        except client.AuthenticationError:
            return True
        except client.RedisError:
            return False

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < deadline, "redis-server did not answer"
            time.sleep(0.02)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)  # a paused process hears nothing else
        self.process.send_signal(number)
        self.process.wait(timeout=START_SECONDS)


class SlowDoor:
    """A TCP port in front of a Redis server; every answer passes it `delay` seconds late."""

    def __init__(self, server: RedisServer, delay: float) -> None:
        self.delay = delay
        self.url = ""
        self._server = server
        self._door: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._door = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._door.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._door is not None
        self._door.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._server.socket)
        for pair in ((reader, back, 0.0), (there, writer, self.delay)):
            task = asyncio.create_task(self._pipe(*pair))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
        try:
            while data := await source.read(65_536):
                await asyncio.sleep(delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
