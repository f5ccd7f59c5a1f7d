"""Every refusal is problem+json with a stable code and a sentence that helps.

Never a 500, never a stack trace, never a half-written action.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.node import InProcessNode
from tests.support.wire import Reply, connected, exchange, request

from laurels.web.edge import application
from laurels.web.problems import STATUS
from laurels.web.routes import ROUTES
from laurels.web.server import Runner

COMPLETE, BATCH = "/api/actions/complete", "/api/actions/batch"
GOOD = {"action_type": "lesson", "action_identifier": "a-1"}


@dataclass
class Attacker:
    """A user with a good token who sends bad requests."""

    node: InProcessNode
    token: str

    async def post(self, path: str, body: bytes, **headers: str) -> Reply:
        return await exchange(self.node.url, self.bytes_of(path, body, **headers))

    def bytes_of(self, path: str, body: bytes, **headers: str) -> bytes:
        fields = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return request("POST", path, fields | {name.replace("_", "-"): text for name, text in headers.items()}, body)

    async def post_chunked(self, path: str, body: bytes) -> Reply:
        """The same without a Content-Length."""
        head = self.bytes_of(path, b"", Transfer_Encoding="chunked")
        chunks = [body[i : i + 10_000] for i in range(0, len(body), 10_000)] + [b""]
        return await exchange(self.node.url, head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks))

    async def get(self, target: str, **headers: str) -> Reply:
        fields = {"Authorization": f"Bearer {self.token}"} | headers
        return await exchange(self.node.url, request("GET", target, fields))


@pytest.fixture
async def attacker(node: InProcessNode) -> AsyncIterator[Attacker]:
    """Whatever a test sends, the ledger must be empty when it is over."""
    yield Attacker(node, await node.token())
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 0
    assert await node.services.pool.fetchval("SELECT count(*) FROM standings") == 0


def assert_problem(reply: Reply, status: int, code: str, path: str | None = None, *, of: object = "") -> None:
    """RFC 9457, complete, without a word about how the service is made."""
    assert reply.status == status, (of, reply)
    assert reply.headers["content-type"] == "application/problem+json", of
    problem = reply.json()
    assert (problem["status"], problem["code"], problem.get("path")) == (status, code, path), (of, problem)
    assert problem["type"] == f"/api/docs#{code}"
    assert problem["title"]
    assert problem["detail"].strip(), of
    assert problem["request_id"] == reply.headers["x-request-id"]
    for secret in ("Traceback", "asyncpg", "msgspec", ".py"):
        assert secret not in problem["detail"], of
    assert reply.headers["x-content-type-options"] == "nosniff"


def action(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def padded(size: int) -> bytes:
    return action() + b" " * (size - len(action()))


async def test_a_body_beyond_its_limit_is_refused_whether_or_not_its_length_was_told(attacker: Attacker) -> None:
    """413 one byte beyond 64 KiB (1 MiB for a batch); one byte less is read and judged."""
    for path, limit in ((COMPLETE, 64 * 1024), (BATCH, 1024 * 1024)):
        assert_problem(await attacker.post(path, padded(limit + 1)), 413, "body_too_large", of=path)
        assert_problem(await attacker.post_chunked(path, padded(limit + 1)), 413, "body_too_large", of=path)
    just_fits = b" " * 64 * 1024
    assert_problem(await attacker.post(COMPLETE, just_fits), 400, "invalid_json")
    assert_problem(await attacker.post_chunked(COMPLETE, just_fits), 400, "invalid_json")


async def test_a_compressed_body_is_measured_unpacked(attacker: Attacker) -> None:
    """A bomb of a few kilobytes is refused at the limit; what is no gzip is malformed."""
    bomb = gzip.compress(b" " * 50_000_000)
    assert_problem(await attacker.post(COMPLETE, bomb, Content_Encoding="gzip"), 413, "body_too_large")
    assert_problem(await attacker.post(COMPLETE, b"no gzip", Content_Encoding="gzip"), 400, "malformed_request")


NOT_JSON = {
    "empty": b"",
    "a word": b"lesson",
    "truncated": action()[:-1],
    "invalid UTF-8": action().replace(b"a-1", b"a-\xff"),
    "an encoded surrogate": action().replace(b"a-1", b"a-\xed\xa0\x80"),
    "a lone surrogate": action().replace(b"a-1", b"a-\\ud800"),
    "a lone surrogate in a key": action(metadata={"k": 1}).replace(b'"k"', b'"\\udfff"'),
    "NaN": action(metadata={"x": float("nan")}),
    "Infinity": action(metadata={"x": float("-inf")}),
    "trailing garbage": action() + b"x",
    "two documents": action() + action(),
    "a byte order mark": b"\xef\xbb\xbf" + action(),
    "UTF-16": action().decode().encode("utf-16"),
    "deep arrays": b"[" * 60_000,
    "deep arrays in metadata": b'{"metadata":{"a":' + b"[" * 60_000,
    "deep objects in metadata": b'{"metadata":' + b'{"a":' * 13_000,
    "single quotes": b"{'action_type': 'lesson'}",
    "a comment": b"/**/" + action(),
}


async def test_what_is_no_json_is_told_so(attacker: Attacker) -> None:
    """400 invalid_json, whatever is wrong with it."""
    for name, body in NOT_JSON.items():
        assert_problem(await attacker.post(COMPLETE, body), 400, "invalid_json", of=name)
    assert_problem(await attacker.post(BATCH, b"[" * 100_000), 400, "invalid_json")


DEEP: Any = 1
for _ in range(9):
    DEEP = {"d": DEEP}

MISFITS: dict[str, tuple[bytes, str]] = {
    "an array": (b"[]", "$"),
    "null": (b"null", "$"),
    "unknown member": (action(score=1_000_000), "$"),
    "missing member": (b'{"action_type":"lesson"}', "$"),
    "wrong type": (action(action_type=7), "$.action_type"),
    "null type": (action(action_type=None), "$.action_type"),
    "metadata an array": (action(metadata=[1]), "$.metadata"),
    "integer beyond 64 bits": (action(metadata={"a": {"b": [2**63]}}), "$.metadata.a.b[0]"),
    "integer below 64 bits": (action(metadata={"a": -(2**63) - 1}), "$.metadata.a"),
    "integer of 5,000 digits": (action().replace(b"}", b',"metadata":{"a":' + b"9" * 5000 + b"}}"), "$.metadata[...]"),
    "integer of 400 digits": (action().replace(b"}", b',"metadata":{"a":' + b"9" * 400 + b"}}"), "$.metadata.a"),
    "float out of range": (action(metadata={"a": 0}).replace(b": 0", b": 1e999"), "$.metadata[...]"),
    "member twice": (action()[:-1] + b',"action_type":"quiz"}', "$.action_type"),
    "member twice, escaped": (action()[:-1] + b',"action\\u005ftype":"quiz"}', "$.action_type"),
    "member twice, nested": (action()[:-1] + b',"metadata":{"a":[{"b":1,"b":2}]}}', "$.metadata.a[0].b"),
    "NUL in a string": (action(metadata={"a": ["x\0"]}), "$.metadata.a[0]"),
    "NUL in a key": (action(metadata={"a": {"x\0": 1}}), "$.metadata.a"),
    "metadata too large": (action(metadata={"a": "x" * 4090}), "$.metadata"),
    "metadata too large in bytes": (action(metadata={"a": "é" * 2048}), "$.metadata"),
    "metadata too deep": (action(metadata=DEEP), "$.metadata" + ".d" * 8),
    "empty identifier": (action(action_identifier=""), "$.action_identifier"),
    "long identifier": (action(action_identifier="x" * 129), "$.action_identifier"),
    "control character": (action(action_identifier="a\x07"), "$.action_identifier"),
    "NUL in the identifier": (action(action_identifier="a\0"), "$.action_identifier"),
    "final newline": (action(action_identifier="a\n"), "$.action_identifier"),
    "C1 control": (action(action_identifier="a\x85"), "$.action_identifier"),
    "bidi override": (action(action_identifier="a\u202e"), "$.action_identifier"),
    "zero width": (action(action_identifier="a\u200b"), "$.action_identifier"),
    "unassigned": (action(action_identifier="a\u0378"), "$.action_identifier"),
    "NUL in the type": (action(action_type="a\0"), "$.action_type"),
    "newline behind the type": (action(action_type="lesson\n"), "$.action_type"),
    "naive datetime": (action(completed_at="2026-01-01T00:00:00"), "$.completed_at"),
    "no datetime": (action(completed_at="yesterday"), "$.completed_at"),
    "a number as datetime": (action(completed_at=1_700_000_000), "$.completed_at"),
    "year 0": (action(completed_at="0000-01-01T00:00:00Z"), "$.completed_at"),
    "before year 1 in UTC": (action(completed_at="0001-01-01T00:00:00+23:59"), "$.completed_at"),
    "after year 9999 in UTC": (action(completed_at="9999-12-31T23:59:59-23:59"), "$.completed_at"),
    "29 February": (action(completed_at="2025-02-29T00:00:00Z"), "$.completed_at"),
}


async def test_what_does_not_fit_the_schema_is_named_with_its_path(attacker: Attacker) -> None:
    """422 invalid_request and the path of the member."""
    for name, (body, path) in MISFITS.items():
        assert_problem(await attacker.post(COMPLETE, body), 422, "invalid_request", path, of=name)


async def test_a_misfit_in_a_batch_refuses_all_of_it_and_names_the_item(attacker: Attacker) -> None:
    """A batch that can't be read is not judged in part."""
    for name, (body, path) in MISFITS.items():
        batch = b'{"actions":[%s,%s]}' % (action(action_identifier="good"), body)
        expected = "$.actions[1]" + path.removeprefix("$")
        assert_problem(await attacker.post(BATCH, batch), 422, "invalid_request", expected, of=name)


async def test_a_batch_has_one_to_a_thousand_items(attacker: Attacker) -> None:
    for count in (0, 1001):
        batch = b'{"actions":[%s]}' % b",".join([action()] * count)
        assert_problem(await attacker.post(BATCH, batch), 422, "invalid_request", "$.actions", of=count)


async def test_an_action_from_the_future_is_refused_with_the_instant_it_may_be_sent(attacker: Attacker) -> None:
    reply = await attacker.post(COMPLETE, action(completed_at="9999-12-31T23:59:59Z"))
    assert_problem(reply, 422, "completed_in_future")
    assert reply.json()["retry_at"] == "9999-12-31T23:59:59Z"
    assert int(reply.headers["retry-after"]) == reply.json()["retry_after"] > 10**9


async def test_only_json_is_read(attacker: Attacker) -> None:
    """415 for everything that does not call itself application/json."""
    for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; x", ""):
        reply = await attacker.post(COMPLETE, action(), Content_Type=media)
        assert_problem(reply, 415, "unsupported_media_type", of=media)
    body = action()
    bare = request("POST", COMPLETE, {"Authorization": f"Bearer {attacker.token}"}, body)
    assert_problem(await exchange(attacker.node.url, bare), 415, "unsupported_media_type")


async def test_paths_and_methods_that_do_not_exist_are_problems_too(attacker: Attacker) -> None:
    """404 with a hint; 405 with Allow, whatever the method is called."""
    for target in (
        "/nothing",
        "/api",
        "/api/actions/complete/",
        "/api/boards/",
        "//",
        "/static/",
        "/static/..%2Fedge.py",
    ):
        assert_problem(await attacker.get(target), 404, "not_found", of=target)
    wrong = [("GET", COMPLETE, "POST"), ("POST", "/api/scoreboard", "GET, HEAD"), ("DELETE", "/", "GET, HEAD")]
    wrong += [
        ("OPTIONS", "/api/me", "DELETE, GET, HEAD"),
        ("PATCH", "/api/boards", "GET, HEAD"),
        ("PUT", "/api/live", "GET"),
    ]
    for method, target, allow in wrong:
        reply = await exchange(attacker.node.url, request(method, target))
        assert_problem(reply, 405, "method_not_allowed", of=method)
        assert reply.headers["allow"] == allow


async def test_head_writes_nothing(attacker: Attacker) -> None:
    """HEAD is GET without a body, and no way around POST."""
    for target in (COMPLETE, BATCH, "/api/live", "/api/auth/register"):
        reply = await exchange(attacker.node.url, request("HEAD", target), bodiless=True)
        assert reply.status == 405, target


async def test_parameters_are_as_strict_as_bodies(attacker: Attacker) -> None:
    """422 with the parameter's path: out of range, no number, unknown, given twice."""
    bad = {
        "/api/scoreboard?limit=0": "$.limit",
        "/api/scoreboard?limit=101": "$.limit",
        "/api/scoreboard?limit=-1": "$.limit",
        "/api/scoreboard?limit=abc": "$.limit",
        "/api/scoreboard?limit=": "$.limit",
        "/api/scoreboard?limit=%EF%BC%91": "$.limit",
        "/api/scoreboard?limit=99999999999999999999999999": "$.limit",
        "/api/scoreboard?limit=" + "9" * 5000: "$.limit",
        "/api/scoreboard?limt=10": "$",
        "/api/scoreboard?limit=10&limit=20": "$.limit",
        "/api/boards/points?slug=points-weekly": "$.slug",
        "/api/boards/points/around/ada?radius=51": "$.radius",
        "/api/boards/Points": "$.slug",
        "/api/boards/points%0A": "$.slug",
        "/api/boards/" + "a" * 64: "$.slug",
        "/api/boards/points/rank/" + "a" * 65: "$.username",
        "/api/me?recent=101": "$.recent",
        "/api/receipts/" + "a" * 129: "$.action_identifier",
        "/api/receipts/a%00": "$.action_identifier",
    }
    for target, path in bad.items():
        assert_problem(await attacker.get(target), 422, "invalid_request", path, of=target)


async def test_odd_paths_are_answered_like_any_other(attacker: Attacker) -> None:
    """Percent-encoded NUL, slash, invalid UTF-8, braces, dots: a 4xx problem, never a 5xx."""
    odd = [
        "%00",
        "%2F",
        "%FF%FE",
        "%ed%a0%80",
        "%7Bname%7D",
        "%2E%2E",
        "%2E",
        "..",
        "%",
        "%zz",
        "%25%30%30",
        ";",
        "+",
        "%3F",
    ]
    for part in odd:
        for prefix in ("/api/boards/", "/api/boards/points/rank/", "/api/receipts/", "/static/", "/"):
            reply = await attacker.get(prefix + part)
            assert 200 <= reply.status < 500, (prefix + part, reply)
            if reply.status >= 400:
                assert_problem(reply, reply.status, reply.json()["code"], reply.json().get("path"), of=prefix + part)


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
    """A problem if there is anybody to answer; in any case an end, since what follows can't be told apart."""
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
    services = attacker.node.services
    hasty = replace(services, options=replace(services.options, body_seconds=0.2))
    runner = Runner(*application(ROUTES, hasty), access_log=None)
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
    with socket.create_connection(attacker.node.url.removeprefix("http://").split(":")) as plain:
        plain.sendall(half)
    assert (await attacker.get("/livez")).status == 200
    assert "unforeseen" not in capsys.readouterr().out


CODES = {code.value for code in STATUS}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = {
    "action_type": JSON | st.sampled_from(["lesson", "quiz"]),
    "action_identifier": JSON | st.text(max_size=130),
    "metadata": JSON,
    "completed_at": JSON | st.datetimes().map(lambda at: at.isoformat() + "+05:30"),
    "unknown": JSON,
}
ACTION = st.fixed_dictionaries({}, optional=MEMBERS)
DOCUMENT = JSON | ACTION | st.fixed_dictionaries({"actions": JSON | st.lists(ACTION | JSON, max_size=5)})
BODY = st.one_of(st.binary(max_size=300), DOCUMENT.map(lambda value: json.dumps(value).encode()))


async def test_no_body_whatsoever_breaks_the_service(node: InProcessNode) -> None:
    """Random documents and random bytes: an answer below 500, and a documented code if it is a refusal."""
    sender = Attacker(node, await node.token())
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(body=BODY, path=st.sampled_from([COMPLETE, BATCH]))
    def fuzz(body: bytes, path: str) -> None:
        reply = asyncio.run_coroutine_threadsafe(sender.post(path, body), loop).result(20)
        assert reply.status < 500, (body, reply)
        if reply.status >= 400:
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.json()["code"] in CODES
            assert b"Traceback" not in reply.body

    await asyncio.to_thread(fuzz)
