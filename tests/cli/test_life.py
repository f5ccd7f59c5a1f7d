"""A node that brings its own PostgreSQL: started, stopped, killed, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import stat
import subprocess
import urllib.request
from pathlib import Path

import aiohttp
import psutil
import pytest
from tests.support.raw_http import connected, exchange, request

from laurels.ledger.embedded.server import EmbeddedPostgres

from .commands import (
    LAURELS,
    PATIENCE,
    QUIET,
    Served,
    answer,
    environment,
    laurels,
    server_of,
    serving,
    sweep,
    until,
)

PASSWORD = "correct horse battery"
REGISTER = json.dumps({"username": "Ada Ember", "password": PASSWORD}).encode()


def post(url: str, path: str, body: bytes) -> int:
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return int(reply.status)


def test_off_a_terminal_the_first_password_is_in_a_file_and_in_no_stream(data: Path) -> None:
    """Readable by the node's user alone; its path is logged, and a second start says nothing of it."""
    kept = data / "admin-password"
    with serving(data) as served:
        password = kept.read_text().strip()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert log_in(served.url, password) == 200
        assert served.stop() == 0
        assert str(kept) in served.log
        assert password not in served.log + served.said
        assert [path.name for path in data.glob("admin-password*")] == ["admin-password"]
    kept.unlink()
    with serving(data) as served:
        assert not kept.exists()
        assert served.stop() == 0
        assert "admin" not in served.log


def test_off_a_terminal_everything_is_json(data: Path) -> None:
    """Also where the node is; standard output is empty, and nothing is drawn."""
    with serving(data) as served:
        (live,) = [line for line in map(json.loads, served.log.splitlines()) if line["message"] == "live"]
        assert live["laurels"]["url"] == f"{served.url}/"
        assert served.stop() == 0
        assert served.said == ""
        assert all(json.loads(line)["log.level"] in ("info", "warning") for line in served.log.splitlines())


def test_the_first_password_can_be_given(data: Path, tmp_path: Path) -> None:
    """As a secret that is mounted: no file is written, and it is not told."""
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    with serving(data, LAURELS_ADMIN_PASSWORD_FILE=secret) as served:
        assert log_in(served.url, PASSWORD) == 200
        assert served.stop() == 0
        assert PASSWORD not in served.log + served.said
        assert list(data.glob("admin-password*")) == []


def test_where_the_password_can_not_be_kept_no_admin_is_made(database_url: str, data: Path) -> None:
    """The log says what to do: an admin whose password no one knows would lock every operator out."""
    data.write_text("not a folder")
    with serving(data, DATABASE_URL=database_url) as served:
        assert "LAURELS_ADMIN_PASSWORD_FILE" in served.log
        assert answer("user", "list", "--role", "admin", DATABASE_URL=database_url) == []
        assert served.stop() == 0


def test_on_a_terminal_address_and_password_are_shown_once(data: Path) -> None:
    """To the person who sits there: no file is needed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*LAURELS, "serve"],
        env=environment(LAURELS_DATA=data, LAURELS_PORT=0, TERM="dumb", **QUIET),
        stdout=slave,
        stderr=subprocess.DEVNULL,
    )
    os.close(slave)
    try:
        _check_shown_password(master)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert list(data.glob("admin-password*")) == []
    finally:
        os.close(master)
        if process.poll() is None:
            process.kill()
            process.wait()
        if (server := server_of(data)) is not None:
            os.kill(server, signal.SIGQUIT)


def _check_shown_password(terminal: int) -> None:
    shown = ""
    while "is live at" not in shown:
        shown += os.read(terminal, 4_096).decode()
    found = re.search(r"First admin: admin {2}password: (\S+)", shown)
    url = re.search(r"live at (http://\S+?)/ ", shown)
    assert found
    assert url
    assert log_in(url[1], found[1]) == 200


def log_in(url: str, password: str) -> int:
    return post(url, "/api/auth/login", json.dumps({"username": "admin", "password": password}).encode())


@pytest.mark.parametrize("group", [False, True], ids=["SIGTERM", "Ctrl-C"])
async def test_a_stop_is_in_order(data: Path, group: bool) -> None:
    """Exit code 0; requests in flight are answered; sockets are asked to reconnect; PostgreSQL is gone.

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
        until((data / "postgres.gate").exists, "the start is in progress")
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
    """Acknowledged actions are there after PostgreSQL has replayed its log."""
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


def test_the_last_process_stops_the_server(data: Path) -> None:
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
    """Unix sockets have short names: a deep folder's socket goes into a private one."""
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
