"""Requests that no client would send, and what must hold of the server whatever it is sent.

`heads`, `headers` and `bodies` are lists of requests as bytes, in the pieces in which they are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import re
import zlib
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from hypothesis import strategies as st

from laurels.web.api.routes import ROUTES
from laurels.web.http.problems import STATUS
from laurels.web.pipeline.route import Route

PATIENCE = 40.0
"""Seconds until a connection must have been answered or closed; the server's own deadlines are below three."""
CODES = {code.value for code in STATUS}
TOKEN = b"@token@"
"""Stands for a good access token in the requests below."""
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
_marks = itertools.count(1)

_JUNK = st.binary(max_size=40)
_LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
_NUMBER = st.sampled_from(
    ["0", "5", "-1", "+5", "5, 5", "0x10", "1e3", " 7 ", "99999999999999999999999", "", "٣", "65537"]
)
_ADDRESS = st.sampled_from(
    [
        "203.0.113.10",
        "203.0.113.10:50000",
        "[2001:db8::9]:50000",
        "[2001:db8::9%25eth0]",
        "unknown",
        "_x",
        "[",
        "]:",
        ",,,",
    ]
)
_TOKENS = st.one_of(
    st.sampled_from(
        ["", "x", "a.b.c", "..", "lk_", "lk_1_abc", "lk_٣_x", "eyJhbGciOiJub25lIn0.e30.", "e30.e30.e30", "=" * 99]
    ),
    st.text(st.sampled_from("abcXYZ019-_.=/+é"), max_size=80),
)
_CODING = st.sampled_from(
    ["gzip", "deflate", "br", "zstd", "identity", "x-gzip", "gzip, gzip", "GZIP", "*", ";q=0", ""]
)
_TAGS = st.sampled_from(['"x"', "*", 'W/"x"', '"', "W/", ',"x",', '"a", "b"', '"é"'])
_ORIGINS = st.sampled_from(
    [
        "https://a.example",
        "http://[",
        "http://]",
        "null",
        "http://[::1]:99999",
        "://",
        "*",
        "http://a:b",
        "http://é",
        "",
    ]
)
_KNOWN: dict[str, st.SearchStrategy[str]] = {
    "Accept": st.sampled_from(["*/*", "text/html", ";q=", "application/json;q=9"]),
    "Accept-Encoding": _CODING,
    "Accept-Language": st.sampled_from(["de", "de-DE;q=x", "*;q=1e999", ",;,", "x" * 200, "é"]),
    "Access-Control-Request-Headers": _LATIN,
    "Access-Control-Request-Method": st.sampled_from(["GET", "PATCH", "", "G T"]),
    "Authorization": st.one_of(
        st.just(f"Bearer {TOKEN.decode()}"),
        st.tuples(st.sampled_from(["Bearer ", "bearer  ", "Basic ", ""]), _TOKENS).map("".join),
    ),
    "Connection": st.sampled_from(["close", "keep-alive", "Upgrade", "upgrade, close", ",", "é"]),
    "Content-Encoding": _CODING,
    "Content-Length": _NUMBER,
    "Content-Type": st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            'application/json; a="',
            "a/b/c",
            "/",
            ";",
            "",
            "application/JSON;;",
        ]
    ),
    "Cookie": _LATIN,
    "Expect": st.sampled_from(["100-continue", "100-Continue", "miracles", ""]),
    "Forwarded": st.one_of(_LATIN, st.tuples(st.sampled_from(["for=", 'for="', "FOR=", ";"]), _ADDRESS).map("".join)),
    "Host": st.sampled_from(["x", "", "[", "a:b", "x, y", "é"]),
    "Idempotency-Key": _LATIN,
    "If-Match": _TAGS,
    "If-Modified-Since": st.sampled_from(["yesterday", "Mon, 30 Feb 2026 00:00:00 GMT", "9" * 40]),
    "If-None-Match": _TAGS,
    "Last-Event-ID": st.one_of(_LATIN, st.sampled_from(["a:1", "a:" + "9" * 40, ":", "a:-1"])),
    "Laurels-Signature": st.one_of(
        _LATIN,
        st.just(f"k=1,t={'9' * 12},n={'a' * 16},v1={'0' * 64}"),
        st.just(f"k={'9' * 18},t=1,n={'a' * 64},v1={'f' * 64}"),
    ),
    "Origin": _ORIGINS,
    "Range": st.sampled_from(["bytes=0-1", "bytes=-", "bytes=9-1", "x=1", "bytes=" + "0-1," * 200]),
    "Sec-WebSocket-Extensions": st.sampled_from(["permessage-deflate", "x; y=", ";"]),
    "Sec-WebSocket-Key": st.sampled_from(["dGhlIHNhbXBsZSBub25jZQ==", "short", "é", "====", ""]),
    "Sec-WebSocket-Protocol": st.one_of(
        st.sampled_from(["laurels.v1", "x", "laurels.v1, laurels.token.x", ","]), _LATIN
    ),
    "Sec-WebSocket-Version": st.sampled_from(["13", "8", "", "١٣"]),
    "TE": st.sampled_from(["trailers", ";"]),
    "Transfer-Encoding": st.sampled_from(
        ["chunked", "gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "xchunked", ""]
    ),
    "Upgrade": st.sampled_from(["websocket", "h2c", "websocket, h2c", ""]),
    "X-Forwarded-For": st.one_of(_LATIN, _ADDRESS, st.lists(_ADDRESS, max_size=4).map(", ".join)),
    "X-Request-ID": st.one_of(_LATIN, st.just("trace-0123456789")),
}
"""Every header that something in the server parses, and some that it must pass over."""

_SEGMENTS = st.one_of(
    st.sampled_from(["points", "ada", "1", "%00", "%ff", "..", "{x}", "%7B", "a%2Fb"]), _LATIN.map(quote)
)


def _target(path: str, segments: list[str], query: str) -> str:
    parts = iter(segments)
    return re.sub(r"{\w+}", lambda _: next(parts, "x"), path) + query


METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"])
_ODD_TARGETS = ["*", "//", "/%", "/?", "/#", "http://[", "http://x/livez", "x:443", "/" + "a" * 9_000, "/..;/"]
_QUERY = _LATIN.map(quote)
_QUERIES = st.one_of(
    st.just(""), st.just(""), st.just("?limit=1"), _QUERY.map("?limit=".__add__), _QUERY.map("?".__add__)
)
_SEGMENT_LISTS = st.lists(_SEGMENTS, max_size=3)


def _call(route: Route) -> st.SearchStrategy[tuple[str, str]]:
    """Its method, mostly, and its path with something in the place of its parameters."""
    targets = st.builds(_target, st.just(route.path), _SEGMENT_LISTS, _QUERIES)
    return st.tuples(st.one_of(st.just(route.method), st.just(route.method), st.just(route.method), METHODS), targets)


_CALLS = st.sampled_from(ROUTES).flatmap(_call)
CALLS = st.one_of(_CALLS, _CALLS, _CALLS, st.tuples(METHODS, st.sampled_from(_ODD_TARGETS)))
_WITH_BODY = st.sampled_from([route for route in ROUTES if route.body is not None]).flatmap(_call)
_WITHOUT = st.sampled_from(
    [("GET", "/livez"), ("GET", "/api/scoreboard"), ("PUT", "/api/boards"), ("POST", "/nothing")]
)
_FIELDS = st.lists(
    st.sampled_from(sorted(_KNOWN)).flatmap(lambda name: st.tuples(st.just(name), _KNOWN[name])), max_size=6
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_TEXTS = st.one_of(
    _JSON.map(json.dumps).map(str.encode),
    st.just(b'{"action_type":"lesson","action_identifier":"fuzz"}'),
    st.just(b"[" * 60_000),
    st.just(b" " * 70_000),
    _JUNK,
)
_COMPRESSED = st.builds(
    lambda compress, text, cut: compress(text)[: len(compress(text)) - cut],
    st.sampled_from([gzip.compress, zlib.compress, bytes]),
    st.one_of(_TEXTS, st.just(bytes(5_000_000))),
    st.sampled_from([0, 0, 1, 9]),
)


def _head(call: tuple[str, str], fields: Sequence[tuple[str, str]], version: str = "1.1") -> bytes:
    method, target = call
    host = [] if any(name == "Host" for name, _ in fields) else ["Host: fuzz"]
    lines = [f"{method} {target} HTTP/{version}", *host, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def _chunked(body: bytes, size: int, end: bytes) -> bytes:
    chunks = [body[at : at + size] for at in range(0, min(len(body), 50 * size), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def _with_body(call: tuple[str, str], fields: list[tuple[str, str]], body: bytes, size: int, end: bytes) -> bytes:
    """With its length when `size` is 0, else in chunks that end as they end."""
    typed = [("Content-Type", "application/json"), ("Authorization", f"Bearer {TOKEN.decode()}"), *fields]
    if size:
        return _head(call, [*typed, ("Transfer-Encoding", "chunked")]) + _chunked(body, size, end)
    return _head(call, [*typed, ("Content-Length", str(len(body) + (not end)))]) + body


def _mutated(data: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for at, text in edits:
        place = at % (len(data) + 1)
        data = data[:place] + text + data[place + len(text) % 3 :]
    return data


_EDITS = st.lists(
    st.tuples(
        st.integers(0, 2_000), st.one_of(st.binary(max_size=3), st.sampled_from([b"\r\n", b"\0", b" ", b":", b"\n"]))
    ),
    max_size=4,
)
_VERSIONS = st.sampled_from([*["1.1"] * 8, "1.0", "0.9", "2.0", "1.10", "x"])
HEADS = st.one_of(
    _JUNK,
    st.builds(_mutated, st.builds(_head, CALLS, _FIELDS, _VERSIONS), _EDITS),
    st.builds(lambda name, value: b"GET / HTTP/1.1\r\n" + name + b":" + value + b"\r\n\r\n", _JUNK, _JUNK),
)
_HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
]


def _handshake(odd: list[tuple[str, str]]) -> bytes:
    """A WebSocket handshake, some of whose headers are others."""
    replaced = {name for name, _ in odd}
    return _head(("GET", "/api/live"), [*(field for field in _HANDSHAKE if field[0] not in replaced), *odd])


_OF_HANDSHAKES = ["Origin", "Origin", "Host", "Authorization", *(name for name in _KNOWN if name.startswith("Sec-"))]
_ODD_FIELDS = st.lists(
    st.sampled_from(_OF_HANDSHAKES).flatmap(lambda name: st.tuples(st.just(name), _KNOWN[name])), max_size=2
)
HEADERS = st.one_of(*[st.builds(_head, CALLS, _FIELDS)] * 4, st.builds(_handshake, _ODD_FIELDS))
ENDS = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"",
        b"zz\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"5\r\nab",
        b"-1\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 300,
    ]
)
_CODED = st.sampled_from(["Content-Encoding", "Expect"]).flatmap(lambda name: st.tuples(st.just(name), _KNOWN[name]))
BODIES = st.builds(
    _with_body,
    st.one_of(_WITH_BODY, _WITH_BODY, _WITHOUT),
    st.lists(_CODED, max_size=2),
    st.one_of(_TEXTS, _COMPRESSED),
    st.sampled_from([0, 0, 1, 700, 65_536]),
    ENDS,
)


async def exchanged(url: str, data: bytes, cut: int) -> bytes:
    """Send a request in two pieces, and `/livez` after it; everything that came until it was answered or closed.

    Raises AssertionError when neither happens.
    """
    mark = f"fuzz-mark-{next(_marks):08d}".encode()
    after = b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: fuzz\r\nX-Request-ID: " + mark + b"\r\n\r\n"
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        async with asyncio.timeout(PATIENCE):
            return await _talked(reader, writer, [data[:cut], data[cut:] + after], mark)
    except TimeoutError as error:
        raise AssertionError(f"neither answered nor closed: {data[:2_000]!r}") from error
    finally:
        writer.transport.abort()


async def _talked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes], mark: bytes
) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001)  # so that the pieces arrive apart, mostly
        while chunk := await reader.read(65_536):
            received += chunk
            if mark in received or b" 101 " in received[:20] or b"text/event-stream" in received:
                break
    return received


def complaint(data: bytes, received: bytes) -> str | None:
    """Return the fault of an answer; None if there is none."""
    for found in _STATUS_LINE.finditer(received):
        status = int(found[1])
        head, _, rest = received[found.end() :].partition(b"\r\n\r\n")
        if status == 500 or (status > 500 and status != 503):
            return f"{status} for {data[:2_000]!r}"
        if status >= 400 and not _is_problem(head, rest, data):
            return f"{status} without a problem for {data[:2_000]!r}: {head!r} {rest[:300]!r}"
    return None if not received or received.startswith(b"HTTP/1.1 ") else f"not HTTP: {received[:200]!r}"


def _is_problem(head: bytes, rest: bytes, data: bytes) -> bool:
    if b"Content-Type: application/problem+json" not in head:
        return b"/readyz" in data
    code = re.search(rb'"code":"(\w+)"', rest)
    return b"HEAD" in data or (code is not None and code[1].decode() in CODES)
