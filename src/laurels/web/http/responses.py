"""Replies whose head and body leave in one write, the constant part of the head built once.

aiohttp builds and serialises every header of every reply again; with the security headers that is a third of the cost
of reading a board. Here the status line and the headers that never change are ready text, and the rest is one string.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import msgspec
from aiohttp import HttpVersion10, hdrs, web
from aiohttp.web_request import BaseRequest

from .aiohttp_private import DirectResponse

JSON = "application/json"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "laurels",
}

_CONSTANT = "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items())
_HEADS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n{_CONSTANT}" for status in HTTPStatus}
_BODILESS = (204, 304)

encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Reply:
    """A status, encoded body and headers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


Answer = Reply | web.StreamResponse | msgspec.Struct
"""The result of a handler: a struct is sent as JSON with status 200."""


def json_reply(value: msgspec.Struct, status: int = 200) -> Reply:
    """Return a reply with `value` as JSON."""
    return Reply(encode(value), status)


def response_to(answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    """Return the response to send, with the security headers and `headers`, which is changed."""
    if isinstance(answer, web.StreamResponse):
        return answer
    if isinstance(answer, msgspec.Struct):
        answer = Reply(encode(answer))
    headers.update(answer.headers)
    return ReadyResponse(answer.status, headers, answer.body)


class ReadyResponse(DirectResponse):
    """A whole reply. Keeps `headers`, which come beside SECURITY_HEADERS, and adds those that HTTP requires.

    Sends `Cache-Control: no-store` unless `headers` say otherwise.
    """

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(status=status)
        headers.setdefault("Cache-Control", "no-store")
        self._lines = headers
        self._content = body

    def serialize(self, request: BaseRequest) -> bytes:
        """Return head and body as they are sent. Raises ValueError when a header contains a line break."""
        lines = [f"{name}: {value}\r\n" for name, value in self._lines.items()]
        bodiless = self.status in _BODILESS
        if not bodiless:
            lines.append(f"Content-Length: {len(self._content)}\r\n")
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        elif request.version == HttpVersion10:
            lines.append("Connection: keep-alive\r\n")
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines):
            raise ValueError("a header of a reply contains a line break")
        head = f"{_HEADS[self.status]}{text}{_date()}\r\n".encode("latin-1")
        return head if bodiless or request.method == hdrs.METH_HEAD else head + self._content


_date_line: tuple[int, str] = (0, "")


def _date() -> str:
    """Return the Date header of this second."""
    global _date_line  # noqa: PLW0603  one string, made once a second
    now = int(time.time())
    if _date_line[0] != now:
        _date_line = (now, f"Date: {formatdate(now, usegmt=True)}\r\n")
    return _date_line[1]
