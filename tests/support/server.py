"""`laurels serve` as a real process, driven from the outside as a client would."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from .ports import free_port

PASSWORD = "correct horse battery"
START_SECONDS = 120.0

GENEROUS = {
    "LAURELS_USER_RATE": "10000000",
    "LAURELS_ADDRESS_RATE": "10000000",
    "LAURELS_PROBE_RATE": "10000000",
    "LAURELS_LOGIN_RATE": "10000000",
    "LAURELS_ACCOUNT_RATE": "10000000",
    "LAURELS_NETWORK_RATE": "10000000",
    "LAURELS_FAILURE_RATE": "10000000",
    "LAURELS_HOLD_USER_RATE": "1000000000",
    "LAURELS_HOLD_ADDRESS_RATE": "1000000000",
    "LAURELS_SOCKETS_PER_ADDRESS": "10000",
    "LAURELS_SNAPSHOT_SECONDS": "0",
    "LAURELS_ADMIN_PASSWORD": PASSWORD,
}


CHORES = {"LAURELS_SNAPSHOT_SECONDS": "5", "LAURELS_VERIFY_SECONDS": "5"}
"""What runs by the clock, often: it must work with the rights that nodes have in production."""


class LaurelsServer:
    """One process on one port. `restart()` keeps the port; `kill()` is SIGKILL."""

    patience = START_SECONDS

    def __init__(self, database_url: str, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self.log = log
        self._environment = {
            **os.environ,
            **GENEROUS,
            "DATABASE_URL": database_url,
            "LAURELS_PORT": str(self.port),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "laurels.cli", "serve"], env=self._environment, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=START_SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start()

    def register(self, username: str) -> str:
        """An access token of a fresh account."""
        body = {"username": username, "password": PASSWORD}
        return str(self.post("/api/auth/register", body)["access_token"])

    def complete(self, token: str, action_type: str = "lesson", n: int = 1) -> dict[str, Any]:
        """Complete `n` actions; the last receipt."""
        receipt: dict[str, Any] = {}
        for _ in range(n):
            body = {"action_type": action_type, "action_identifier": str(uuid.uuid4())}
            receipt = self.post("/api/actions/complete", body, token)
        return receipt

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.load(reply)

    def post(self, path: str, body: Any, token: str | None = None) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def command(self, *words: str) -> None:
        """`laurels …`, as an operator would type it beside the running node."""
        subprocess.run([sys.executable, "-m", "laurels.cli", *words], env=self._environment, check=True)

    def sql(self, statement: str) -> None:
        """Run a statement that no client may run, for a test."""
        with ThreadPoolExecutor(1) as thread:  # where a browser is driven, this one has a loop already
            thread.submit(asyncio.run, self._execute(statement)).result()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        await connection.execute(statement)
        await connection.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"laurels serve exited: {self.log.read_text()[-2000:]}")
            try:
                self.get("/readyz")
                return
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
                # HTTPException: it stops listening while it is asked
                time.sleep(0.05)
        raise AssertionError(f"laurels serve was not ready: {self.log.read_text()[-2000:]}")
