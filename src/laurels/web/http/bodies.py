"""Read the body of a request: within a size, a deadline and bounded steps of decompression.

The parser hands bodies over as they were sent (`server.Runner` turns decompression off), so that nothing is inflated
where no route takes a body. Only `read_body` inflates, after the limits and the token were checked.
"""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import HttpVersion11, hdrs, web

from ...domain.errors import Code, LaurelsError
from .aiohttp_private import send_continue

IN_STEP, OUT_STEP = 4 * 1024, 64 * 1024
"""Compressed bytes read and bytes inflated in one turn of the loop at most: about a millisecond, whatever was sent.

The first bound is for blocks that inflate to nothing: a megabyte of them takes a tenth of a second to decode.
"""
MAX_PIECES, PIECE_BYTES = 4 * 1024, 16
"""A body may have MAX_PIECES pieces (chunks, or reads of the socket), and no more than its limit / PIECE_BYTES.

A piece costs microseconds however small it is: chunks of one byte would cost a second for each megabyte.
"""
PIECES_PER_TURN = 256
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
"""RFC 9110: `deflate` is the zlib format of RFC 1950."""


async def read_body(request: web.Request, limit: int, seconds: float) -> bytes:
    """Return the whole body, inflated; empty for a request without a body. `seconds`: how long it may take to arrive.

    Raises LaurelsError UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING, BODY_TOO_LARGE (as sent or inflated,
    or in too many pieces), BODY_TIMEOUT, or MALFORMED_REQUEST when it is not compressed as declared.
    """
    if not request.body_exists and hdrs.CONTENT_TYPE not in request.headers:
        return b""
    if request.content_type != "application/json":
        raise LaurelsError(Code.UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json.")
    window = _window(request) if hdrs.CONTENT_ENCODING in request.headers else None
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if request.content.is_eof():  # all of it arrived with the head, as small bodies do
        body = _arrived_body(request, limit)
    else:
        await _send_continue(request)
        body = await _arriving_body(request, limit, seconds)
    return body if window is None else await inflate(body, window, limit)


def _window(request: web.Request) -> int | None:
    """Return zlib's `wbits` for the content coding, or None when the body is not compressed."""
    codings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING)).lower().split(",")
    coding = codings[0].strip()
    if len(codings) == 1 and coding in ("", "identity"):
        return None
    window = _WINDOWS.get(coding)
    if len(codings) > 1 or window is None:
        raise LaurelsError(Code.UNSUPPORTED_ENCODING, "Send the body uncompressed, or with one of gzip and deflate.")
    return window


def _arrived_body(request: web.Request, limit: int) -> bytes:
    if not request.body_exists:
        return b""
    body = request.content.read_nowait()
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _send_continue(request: web.Request) -> None:
    """Answer Expect: 100-continue now that the body is wanted; other expectations may be ignored (RFC 9110)."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.version >= HttpVersion11:
        await send_continue(request)


async def _arriving_body(request: web.Request, limit: int, seconds: float) -> bytes:
    body, pieces, most = bytearray(), 0, min(MAX_PIECES, max(PIECES_PER_TURN, limit // PIECE_BYTES))
    try:
        async with asyncio.timeout(seconds):
            async for piece, _ in request.content.iter_chunks():
                body += piece
                pieces += 1
                if len(body) > limit:
                    raise _too_large(limit)
                if pieces > most:
                    raise LaurelsError(Code.BODY_TOO_LARGE, f"The body has more than {most} pieces. Send larger ones.")
                if pieces % PIECES_PER_TURN == 0:
                    await asyncio.sleep(0)
    except TimeoutError as error:
        raise LaurelsError(Code.BODY_TIMEOUT, f"The body took more than {seconds:.0f} seconds to arrive.") from error
    return bytes(body)


async def inflate(data: bytes, window: int, limit: int) -> bytes:
    """Return `data` inflated, at most `limit` + 1 bytes of it; other tasks run between steps.

    Accepts a single gzip member: thousands of empty ones would cost the square of their number.
    Raises LaurelsError BODY_TOO_LARGE or MALFORMED_REQUEST.
    """
    inflator, body = zlib.decompressobj(window), bytearray()
    taken, pending = 0, b""
    while not inflator.eof:
        if not pending:
            pending = data[taken : taken + IN_STEP]
            taken += len(pending)
        made = _step(inflator, pending, limit + 1 - len(body))
        if not made and not pending:  # not merely at the end of the data: zlib may hold back output for lack of room
            raise _broken()
        body += made
        if len(body) > limit:
            raise _too_large(limit)
        pending = inflator.unconsumed_tail
        if not inflator.eof:
            await asyncio.sleep(0)
    if inflator.unused_data or taken < len(data):
        raise _broken()
    return bytes(body)


def _step(inflator: zlib._Decompress, pending: bytes, room: int) -> bytes:
    try:
        return inflator.decompress(pending, min(OUT_STEP, room))
    except zlib.error as error:
        raise _broken() from error


def _broken() -> LaurelsError:
    return LaurelsError(Code.MALFORMED_REQUEST, "The body is not compressed as its Content-Encoding says.")


def _too_large(limit: int) -> LaurelsError:
    return LaurelsError(Code.BODY_TOO_LARGE, f"The body has more than {limit} bytes. Send less at once.")
