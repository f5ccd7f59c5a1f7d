"""A body that is too large, no JSON, or of another shape is refused with a stable code and the path of what is wrong.

Never a 500, never a half-written action: the fixture `attacker` looks into the ledger.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.node import InProcessNode
from tests.support.raw_http import exchange, request
from tests.web.attacker import BATCH, COMPLETE, Attacker, action, assert_problem

from laurels.web.http.problems import STATUS


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
    """A bomb of a few kilobytes is refused at the limit; a body that is not gzip is malformed."""
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
