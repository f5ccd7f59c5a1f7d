"""TLS, headers, limits, deadlines, and which node answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from tests.edge.conftest import Edge
from tests.support.ports import free_block
from tests.support.server import LaurelsServer

from laurels.web.api.routes import ROUTES

SECURITY = {
    "strict-transport-security",
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
}


def _curl(edge: Edge, wanted: str, url: str) -> str:
    command = ["curl", "-s", "--cacert", str(edge.layout.authority), "-o", "/dev/null", "-w", wanted, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_plain_http_leads_to_https(edge: Edge) -> None:
    assert (
        _curl(edge, "%{http_code} %{redirect_url}", f"http://localhost:{edge.layout.port('http')}/a?b=1")
        == f"308 {edge.layout.url}/a?b=1"
    )


def test_http2_is_spoken(edge: Edge) -> None:
    assert _curl(edge, "%{http_version} %{http_code}", f"{edge.layout.url}/api/scoreboard") == "2 200"


def test_older_tls_is_refused(edge: Edge) -> None:
    context = ssl.create_default_context(cafile=edge.layout.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", edge.layout.port("https")), 5) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_another_host_is_not_served(edge: Edge) -> None:
    """Neither by the name in the handshake nor by the header inside it."""
    context = ssl.create_default_context(cafile=edge.layout.authority)
    context.check_hostname = False
    with socket.create_connection(("localhost", edge.layout.port("https")), 5) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="evil.test")
    with _wire(edge) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        assert wire.recv(1024) == b""


def test_every_reply_carries_the_security_headers(edge: Edge) -> None:
    for path in ("/", "/api/scoreboard", "/api/users/ghost", "/static/board.js"):
        assert set(edge.request("GET", path).headers) >= SECURITY, path
    refused = edge.request("GET", "/api/users?prefix=%3Cscript%3Ealert(1)%3C/script%3E")
    assert set(refused.headers) >= {"strict-transport-security", "content-security-policy", "x-content-type-options"}


async def test_forwarding_headers_of_the_client_never_reach_the_node(open_edge: Callable[..., Edge]) -> None:
    """Overwritten on every path, hot or not, socket or not: no client chooses the address that limits count by."""
    heads: list[str] = []

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(told, "127.0.0.1", 0)
    edge = await asyncio.to_thread(open_edge, [f"127.0.0.1:{server.sockets[0].getsockname()[1]}"])
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    lies |= {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "X-Request-ID": "chosen-by-the-client"}
    for path in ("/", "/api/scoreboard", "/api/users/ada", "/api/auth/login", "/api/live"):
        heads.clear()
        await asyncio.to_thread(edge.request, "GET", path, lies)
        head = heads[0].lower()
        assert "203.0.113.9" not in head, path
        assert "evil.test" not in head, path
        assert "chosen-by-the-client" not in head, path
        assert "x-forwarded-for: 127.0.0.1\r\n" in head, path
        assert "x-forwarded-proto: https\r\n" in head, path
    server.close()


def test_a_body_beyond_the_limit_is_a_problem(edge: Edge) -> None:
    reply = edge.post("/api/actions/complete", {"action_identifier": "x" * 100_000})
    assert (reply.status, reply.json()["code"]) == (413, "body_too_large")


def test_a_batch_of_an_integrator_may_be_as_large_as_that_of_a_player(edge: Edge) -> None:
    """It reaches the node, which asks for a key."""
    for path in ("/api/actions/batch", "/api/server/actions/batch"):
        for headers in ({}, {"Laurels-Signature": "k=1"}):
            fields = {"Content-Type": "application/json", **headers}
            reply = edge.request("POST", path, fields, b" " * (1024 * 1024))
            assert reply.status == 401, (path, headers)
            reply = edge.request("POST", path, fields, b" " * (1024 * 1024 + 1))
            assert (reply.status, reply.json()["code"]) == (413, "body_too_large"), (path, headers)


def test_too_many_requests_from_one_address_are_told_when_to_come_back(
    open_edge: Callable[..., Edge], laurels_server: LaurelsServer
) -> None:
    """Every route that the node limits as a log-in is one for the edge too; others go on."""
    edge = open_edge([f"127.0.0.1:{laurels_server.port}"], rate=40)
    for method, path in [(route.method, route.path) for route in ROUTES if route.limit == "login"]:
        headers = {"Content-Type": "application/json"}
        replies = [edge.request(method, path, headers, b"{}") for _ in range(8)]
        refused = [reply for reply in replies if reply.status == 429]
        assert refused, (method, path)
        assert refused[0].json()["code"] == "rate_limited"
        assert int(refused[0].headers["retry-after"]) >= 1
    assert edge.request("GET", "/api/me", {}).status == 401


def test_a_post_that_finds_its_node_gone_is_asked_of_the_next(
    open_edge: Callable[..., Edge], laurels_server: LaurelsServer
) -> None:
    """Kept up: a dead node costs no request."""
    gone = f"127.0.0.1:{free_block()}"
    edge = open_edge([gone, f"127.0.0.1:{laurels_server.port}"])
    token = edge.post("/api/auth/register", {"username": "next-node", "password": "correct horse battery"}).json()
    for number in range(20):
        body = {"action_type": "lesson", "action_identifier": f"n-{number}"}
        assert edge.post("/api/actions/complete", body, token["access_token"]).status == 201


def test_sockets_pass(edge: Edge) -> None:
    """Live: the upgrade goes through, and the first frame says hello."""
    with _wire(edge) as wire:
        wire.sendall(
            b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        received = b""
        while b'"heartbeat_seconds"' not in received:
            chunk = wire.recv(4096)
            assert chunk, received
            received += chunk
    assert received.startswith(b"HTTP/1.1 101 ")
    assert b'"type":"hello"' in received


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost: localhost\r\n", b""])
def test_a_slow_head_is_given_up(edge: Edge, head: bytes) -> None:
    """Slowloris: a connection that never finishes its head is closed within its deadline."""
    with _wire(edge) as wire:
        wire.sendall(head)
        assert _closed_within(wire, 12)


def test_a_slow_body_is_given_up(edge: Edge) -> None:
    with _wire(edge) as wire:
        wire.sendall(b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\nAccept: */*\r\n")
        wire.sendall(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert _closed_within(wire, 12)


@contextlib.contextmanager
def _wire(edge: Edge) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("localhost", edge.layout.port("https")), 15)
    with edge.tls.wrap_socket(plain, server_hostname="localhost") as wire:
        yield wire


def _closed_within(wire: ssl.SSLSocket, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    wire.settimeout(seconds)
    try:
        while wire.recv(4096):
            assert time.monotonic() < deadline
    except (ConnectionError, ssl.SSLError):
        return True
    return True
