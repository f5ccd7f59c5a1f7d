"""`laurels serve --workers`: several processes on one port, kept alive, stopped in order."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.ports import free_port
from tests.support.redis import RedisServer

from .commands import LAURELS, PATIENCE, environment, laurels, until


class Supervised:
    """`laurels serve --workers 2` as a process; `pids` are those of its workers."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = free_port()
        self._log = folder / "workers.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*LAURELS, "serve", "--workers", "2"],
                env=environment(LAURELS_PORT=self.port, LAURELS_SNAPSHOT_SECONDS=0, LAURELS_DATA=folder, **settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def ready(self, *, apart_from: int = 0) -> list[int]:
        """The workers, when both are ready."""

        def look() -> list[int]:
            assert self.process.poll() is None, self.log
            up = [self._is_ready(self.port + 1 + number) for number in range(2)]
            return self.pids if all(up) and apart_from not in self.pids else []

        return until(look, f"both workers are ready: {self.log}")

    def _is_ready(self, port: int) -> bool:
        with (
            contextlib.suppress(OSError, http.client.HTTPException),  # a probe may reach itself
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as reply,
        ):
            return bool(json.load(reply)["ready"])
        return False

    def get(self, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as reply:
            return int(reply.status)


@pytest.fixture
def supervised(database_url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Supervised]:
    started = Supervised(tmp_path, DATABASE_URL=database_url, REDIS_URL=redis_server.url)
    children: list[int] = []
    try:
        children = started.ready()
        yield started
    finally:
        if started.process.poll() is None:
            children += started.pids
            started.process.kill()
            started.process.wait()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_without_redis_it_refuses_and_says_why(database_url: str) -> None:
    done = laurels("serve", "--workers", "2", DATABASE_URL=database_url)
    assert done.returncode == 2
    assert "needs REDIS_URL" in done.stderr


@pytest.mark.parametrize("number", [0, 1])
def test_a_port_that_a_worker_needs_and_another_has_ends_the_start(
    database_url: str, redis_server: RedisServer, number: int
) -> None:
    """Trying again would not help, and would hide the reason. The other worker is stopped, and nothing is left."""
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1 + number))
        other.listen()
        refusal = refused_start(database_url, redis_server, port)
    assert refusal.stderr.count("a worker can't start") == 1
    if number == 1:
        assert "all workers stopped" not in refusal.stderr
        assert '"stopped"' in refusal.stderr, "the first worker was killed instead of stopped"


def test_a_worker_is_not_taken_for_ready_because_its_port_answers(database_url: str, redis_server: RedisServer) -> None:
    """Another service, on the port that the first worker needs, says yes to everything."""
    port = free_port()
    with answering("127.0.0.1", port + 1):
        refused_start(database_url, redis_server, port)


def refused_start(database_url: str, redis_server: RedisServer, port: int) -> subprocess.CompletedProcess[str]:
    settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_server.url, "LAURELS_PORT": port}
    refusal = laurels("serve", "--workers", "2", **settings)
    assert refusal.returncode == 2, refusal.stderr
    assert "LAURELS_METRICS_PORT" in refusal.stderr
    assert "Traceback" not in refusal.stderr
    return refusal


@contextlib.contextmanager
def answering(host: str, port: int) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_worker_that_dies_is_started_again_and_all_stop_in_order(supervised: Supervised) -> None:
    """The port answers meanwhile; SIGTERM drains both and leaves nothing running."""
    before = supervised.ready()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    after = supervised.ready(apart_from=before[0])
    assert before[1] in after
    assert len(after) == 2
    assert supervised.get("/api/scoreboard") == 200
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.process.wait(timeout=PATIENCE) == 0
    assert not any(psutil.pid_exists(pid) for pid in after)


def test_metrics_are_asked_of_each_worker(supervised: Supervised) -> None:
    """A scrape of the shared port would reach another worker every time: it is refused, and says where to ask."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        supervised.get("/metrics")
    assert refused.value.code == 421
    assert json.load(refused.value)["code"] == "misdirected"
    for number in range(2):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{supervised.port + 1 + number}/metrics", timeout=PATIENCE
        ) as reply:
            assert b"laurels_ready 1.0" in reply.read()


def test_workers_end_with_who_started_them(supervised: Supervised) -> None:
    """SIGKILL of the parent: no orphan goes on serving."""
    workers = supervised.ready()
    supervised.process.kill()
    supervised.process.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in workers), "the workers are gone")
