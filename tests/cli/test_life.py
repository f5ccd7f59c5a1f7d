"""A node that brings its own PostgreSQL: started, stopped, killed, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import aiohttp
import psutil
import pytest
from tests.support.wire import connected, exchange, request

from laurels.ledger.embedded import EmbeddedPostgres

from .commands import PATIENCE, Served, answer, laurels, server_of, serving, sweep, until

PASSWORD = "correct horse battery"
REGISTER = json.dumps({"username": "Ada Ember", "password": PASSWORD}).encode()


def post(url: str, path: str, body: bytes) -> int:
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return int(reply.status)


def test_a_first_start_tells_address_and_password_once(data: Path) -> None:
    """The password is on standard output, in no log, and a second start says nothing of it."""
    with serving(data) as served:
        found = re.search(r"First admin: admin {2}password: (\S+)", served.said)
        assert found
        login = json.dumps({"username": "admin", "password": found[1]}).encode()
        assert post(served.url, "/api/auth/login", login) == 200
        assert served.stop() == 0
        assert found[1] not in served.log
        assert "Traceback" not in served.log
        assert "Warning" not in served.log
    with serving(data) as served:
        assert "password" not in served.said
        assert served.stop() == 0


@pytest.mark.parametrize("group", [False, True], ids=["SIGTERM", "Ctrl-C"])
async def test_a_stop_is_in_order(data: Path, group: bool) -> None:
    """Exit code 0; requests in flight are answered; sockets are told to come back; PostgreSQL is gone.

    Ctrl-C on a terminal signals the whole process group: PostgreSQL must not go under the draining node.
    """
    with serving(data, LAURELS_PASSWORD_WORKERS=1) as served:
        async with aiohttp.ClientSession() as http, contextlib.AsyncExitStack() as wires:
            live = await http.ws_connect(f"{served.url}/api/live")
            closed = asyncio.create_task(close_code(live))
            waiting = [await wires.enter_async_context(connected(served.url)) for _ in range(20)]
            for number, wire in enumerate(waiting):
                wire.send(registration(f"Ada {number}"))
            await exchange(served.url, request("GET", "/livez"))  # answered: what came before it has been read
            if group:
                served.interrupt()
            else:
                served.process.send_signal(signal.SIGTERM)
            assert {(await wire.reply()).status for wire in waiting} == {201}
            assert await closed == 4000
        assert served.process.wait(timeout=PATIENCE) == 0
        assert server_of(data) is None
        assert "Traceback" not in served.log


async def close_code(live: aiohttp.ClientWebSocketResponse) -> int | None:
    while (await live.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.TEXT:
        pass
    return live.close_code


def registration(name: str) -> bytes:
    body = json.dumps({"username": name, "password": PASSWORD}).encode()
    return request("POST", "/api/auth/register", {"Content-Type": "application/json"}, body)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_before_it_is_ready_is_in_order_too(data: Path, number: int) -> None:
    """Exit code 0, no PostgreSQL left behind, and the folder is as good as before."""
    served = Served(data)
    try:
        until((data / "postgres.gate").exists, "the start is under way")
        assert served.stop(number) == 0
        assert server_of(data) is None
        assert "Traceback" not in served.log
        assert served.said == ""
    finally:
        sweep(served, data)
    with serving(data) as again:
        assert again.stop() == 0


def test_an_orphaned_server_is_joined_and_stopped_in_the_end(data: Path) -> None:
    """SIGKILL of the node leaves PostgreSQL running; the next node takes over that very process."""
    with serving(data) as first:
        assert post(first.url, "/api/auth/register", REGISTER) == 201
        orphan = server_of(data)
        first.stop(signal.SIGKILL)
        assert orphan is not None
        assert server_of(data) == orphan
        with serving(data) as second:
            assert server_of(data) == orphan
            assert post(second.url, "/api/auth/login", REGISTER) == 200
            assert second.stop() == 0
        assert server_of(data) is None


def test_both_killed_lose_nothing(data: Path) -> None:
    """What was acknowledged is there after PostgreSQL has replayed its log."""
    with serving(data) as first:
        assert post(first.url, "/api/auth/register", REGISTER) == 201
        server = server_of(data)
        assert server is not None
        first.stop(signal.SIGKILL)
        os.kill(server, signal.SIGKILL)
        until(lambda: server_of(data) is None, "the server is gone")
    with serving(data) as second:
        assert post(second.url, "/api/auth/login", REGISTER) == 200
        assert second.stop() == 0


def test_a_command_borrows_the_running_server(data: Path) -> None:
    """It leaves it running for the node, and starts and stops it by itself when there is no node."""
    with serving(data) as served:
        report = answer("verify", LAURELS_DATA=data, LAURELS_PORT=served.port)
        assert [window["node_drift"] for window in report["windows"]] == [0, 0]
        assert post(served.url, "/api/auth/register", REGISTER) == 201
        assert served.stop() == 0
    assert laurels("verify", LAURELS_DATA=data, LAURELS_PORT=1).returncode == 0
    assert server_of(data) is None


def test_whoever_leaves_last_stops_the_server(data: Path) -> None:
    """A command that started it does not pull it from under a node that has joined."""
    command, node = EmbeddedPostgres(data), EmbeddedPostgres(data)
    assert command.start(own=False) == node.start(own=True)
    command.stop()
    server = server_of(data)
    assert server is not None
    node.stop()
    assert server_of(data) is None
    until(lambda: not psutil.pid_exists(server), "its exit status is taken, so that no zombie is left")


def test_a_number_left_by_a_crash_is_no_server(data: Path) -> None:
    """After a reboot the pid in postmaster.pid may be anybody's, even ours."""
    server = EmbeddedPostgres(data)
    server.start(own=True)
    left = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    server.stop()
    (data / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *left[1:]]) + "\n")
    again = EmbeddedPostgres(data)
    again.start(own=True)
    assert server_of(data) is not None
    again.stop()
    assert server_of(data) is None


def test_a_start_that_was_given_up_starts_nothing(data: Path) -> None:
    """A stop may come before the thread that starts the server has run."""
    server = EmbeddedPostgres(data)
    server.stop()
    with pytest.raises(Exception, match="given up"):
        server.start(own=True)
    server.stop()
    assert server_of(data) is None


def test_long_paths_get_a_private_socket(data: Path) -> None:
    """Unix sockets have short names: a deep folder's socket goes where nobody else may enter."""
    deep = data / ("x" * 60) / ("y" * 60)
    server = EmbeddedPostgres(deep)
    url = server.start(own=True)
    try:
        folder = Path(re.search(r"host=([^&]+)", url)[1])  # type: ignore[index]
        assert folder != deep / "postgres"
        assert folder.stat().st_mode & 0o077 == 0
        assert laurels("migrate", LAURELS_DATA=deep).returncode == 0
    finally:
        server.stop()
