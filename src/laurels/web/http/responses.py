"""Replies whose head and body leave in one write, the constant part of the head built once.

aiohttp builds and serialises every header of every reply anew; with the security headers that is a
third of what reading a board costs. Here the status line and the headers that never change are
bytes from the start, and the rest is one string.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import HttpVersion10, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

if TYPE_CHECKING:
    from .connection import HttpConnection

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


class ReadyResponse(web.StreamResponse):
    """A whole reply. `headers` (taken over) beside SECURITY_HEADERS; what HTTP itself asks for is added, and
    `Cache-Control: no-store` unless they say otherwise.
    """

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(status=status)
        headers.setdefault("Cache-Control", "no-store")
        self._lines = headers
        self._content = body

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write everything; aiohttp calls this, then `write_eof`, which has nothing left to do."""
        if self.prepared:
            return None
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        writer = self._payload_writer = request.writer
        await writer.drain()  # who asks on and reads nothing fills no memory
        reply = self._head(request) + self._visible(request)
        writer.output_size += len(reply)
        connection: HttpConnection = request.protocol  # type: ignore[assignment]
        connection.send(reply)
        if not self._keep_alive:
            connection.flush()  # it is closed next
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left."""

    def _head(self, request: BaseRequest) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in self._lines.items()]
        if self.status not in _BODILESS:
            lines.append(f"Content-Length: {len(self._content)}\r\n")
        if not self._keep_alive:
            lines.append("Connection: close\r\n")
        elif request.version == HttpVersion10:
            lines.append("Connection: keep-alive\r\n")
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines):
            raise ValueError("a header of a reply has a line break in it")
        return f"{_HEADS[self.status]}{text}{_date()}\r\n".encode("latin-1")

    def _visible(self, request: BaseRequest) -> bytes:
        return b"" if request.method == hdrs.METH_HEAD or self.status in _BODILESS else self._content


_dated: tuple[int, str] = (0, "")


def _date() -> str:
    """The Date header of this second."""
    global _dated  # noqa: PLW0603  one string, made once a second
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, f"Date: {formatdate(now, usegmt=True)}\r\n")
    return _dated[1]
