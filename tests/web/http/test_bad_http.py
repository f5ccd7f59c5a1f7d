"""Malformed HTTP, and clients that stop halfway: answered where a client reads, and the next reply is in step."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from aiohttp import web
from tests.support.raw_http import connected, exchange, request
from tests.web.attacker import COMPLETE, Attacker, action, assert_problem

from laurels.web.api.routes import ROUTES
from laurels.web.http.server import Runner
from laurels.web.pipeline.routing import application

NOT_HTTP = {
    "nonsense": b"nonsense\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost laurels\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\n folded: yes\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "a huge path": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
}


async def test_what_is_no_http_is_refused_and_the_connection_closed(attacker: Attacker) -> None:
    """A problem if the client still reads; in any case an end, since the next request can't be found."""
    for name, data in NOT_HTTP.items():
        async with connected(attacker.node.url) as wire:
            wire.send(data)
            assert_problem(await wire.reply(), 400, "malformed_request", of=name)
            assert await wire.ended(), name


async def test_broken_chunks_are_malformed_and_end_the_connection(attacker: Attacker) -> None:
    head = attacker.bytes_of(COMPLETE, b"", Transfer_Encoding="chunked")
    async with connected(attacker.node.url) as wire:
        wire.send(head + b'5\r\n{"a":\r\nzz\r\n')
        assert_problem(await wire.reply(), 400, "malformed_request")
        assert await wire.ended()


async def test_strange_targets_and_expectations_are_answered(attacker: Attacker) -> None:
    """`OPTIONS *`, absolute targets, CONNECT and unknown expectations: no 5xx and no text of a library."""
    for data in (
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere.test/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n",
        b"GET nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        reply = await exchange(attacker.node.url, data)
        assert 400 <= reply.status < 500, (data, reply)
        assert_problem(reply, reply.status, reply.json()["code"], of=data)


async def test_a_websocket_handshake_that_is_none_is_a_problem(attacker: Attacker) -> None:
    """426 with Upgrade, also when only half of the handshake is there."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    for headers in ({}, upgrade, upgrade | {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"}):
        reply = await exchange(attacker.node.url, request("GET", "/api/live", headers))
        assert_problem(reply, 426, "upgrade_required", of=headers)
        assert reply.headers["upgrade"] == "websocket"


async def test_an_early_refusal_leaves_the_connection_in_step(attacker: Attacker) -> None:
    """The unread body of a refused request is not taken for the next request."""
    smuggled = request("POST", COMPLETE, {"Authorization": f"Bearer {attacker.token}"}, action())
    async with connected(attacker.node.url) as wire:
        for head in ({"Content-Type": "text/plain"}, {"Content-Type": "application/json"}):
            wire.send(request("POST", COMPLETE, head, smuggled))
            assert_problem(await wire.reply(), 401, "token_missing")
        wire.send(request("GET", "/livez"))
        assert (await wire.reply()).json() == {"alive": True}


async def test_expect_100_continue_is_told_to_go_on(attacker: Attacker) -> None:
    async with connected(attacker.node.url) as wire:
        whole = attacker.bytes_of(COMPLETE, b"[]", Expect="100-continue")
        wire.send(whole[:-2])
        assert (await wire.reply()).status == 100
        wire.send(b"[]")
        assert_problem(await wire.reply(), 422, "invalid_request", "$")


async def test_request_ids_are_echoed_only_when_they_are_plain(attacker: Attacker) -> None:
    """A caller's id is kept for traces; one that could forge a header or a log line is replaced."""
    reply = await attacker.get("/livez", **{"X-Request-ID": "trace-0123456789"})
    assert reply.headers["x-request-id"] == "trace-0123456789"
    for odd in ("short", "x" * 65, "with space in it", "<script>alert</script>", "caf\xe9caf\xe9"):
        reply = await attacker.get("/nothing", **{"X-Request-ID": odd})
        assert reply.headers["x-request-id"] != odd
        assert_problem(reply, 404, "not_found")


async def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(attacker: Attacker) -> None:
    """408 when a body takes longer than it may."""
    pipeline = attacker.node.services.pipeline
    hasty = replace(pipeline, options=replace(pipeline.options, body_seconds=0.2))
    runner = Runner(*application(ROUTES, hasty, attacker.node.parts.contexts), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with connected(f"http://{host}:{port}") as wire:
        wire.send(attacker.bytes_of(COMPLETE, b"[]")[:-1])
        assert_problem(await wire.reply(), 408, "body_timeout")
    await runner.cleanup()


async def test_callers_that_hang_up_halfway_leave_no_trace(
    attacker: Attacker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a body and gone: nothing written, nothing logged as our failure, the node serves on."""
    half = attacker.bytes_of(COMPLETE, action())[:-5]
    for _ in range(20):
        async with connected(attacker.node.url) as wire:
            wire.send(half)
            await asyncio.sleep(0)
            wire.abort()
    host, port = attacker.node.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(half)
    assert (await attacker.get("/livez")).status == 200
    assert "unexpected" not in capsys.readouterr().out
