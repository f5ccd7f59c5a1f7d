"""Lines of a text file: with or without a byte order mark, with LF or CRLF, in UTF-8 or UTF-16.

No more than one line is in memory. A byte that can't be decoded is reported with its line and position: guessing an
encoding would change people's names.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from .files import TransferError

MAX_LINE = 64 * 1024
_CHUNK = 64 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TooLong:
    """A line of more than MAX_LINE bytes, which was skipped."""


TOO_LONG = TooLong()


def read_text(stream: BinaryIO) -> Iterator[str | TooLong]:
    """Yield every line with its end: LF, CRLF or CR. Raises TransferError for text that is neither UTF-8 nor UTF-16."""
    for number, line in enumerate(_byte_lines(_chunks(stream)), 1):
        if isinstance(line, TooLong):
            yield line
            continue
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise TransferError(
                f"line {number}, byte {error.start + 1} of the line: 0x{line[error.start]:02x} is not UTF-8. "
                f"Convert the file first, such as: iconv -f windows-1252 -t utf-8 FILE > NEW"
            ) from error


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the file as UTF-8, without a byte order mark."""
    head = stream.read(len(codecs.BOM_UTF8))
    if head.startswith(_UTF16):
        yield from _from_utf16(head, stream)
        return
    if b"\0" in head:
        raise TransferError("line 1: this is UTF-16 without a byte order mark. Convert it: iconv -f utf-16le -t utf-8")
    yield head.removeprefix(codecs.BOM_UTF8)
    while chunk := stream.read(_CHUNK):
        yield chunk


def _from_utf16(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yield UTF-16 as UTF-8. Excel calls that format "Unicode text"."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    position, chunk = 0, head
    while True:
        begins = position - len(decoder.getstate()[0])  # the decoder may hold half a character
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise TransferError(f"byte {begins + error.start + 1} of the file is not UTF-16") from error
        yield text.encode()
        if not chunk:
            return
        position += len(chunk)
        chunk = stream.read(_CHUNK)


def _byte_lines(chunks: Iterator[bytes]) -> Iterator[bytes | TooLong]:
    """Yield the lines of a file, TOO_LONG in the place of each that has more than MAX_LINE bytes."""
    rest, skipping = b"", False
    for chunk in chunks:
        lines = (rest + chunk).splitlines(keepends=True)
        # The next chunk may continue the last line, or begin with the LF that belongs to its CR.
        rest = lines.pop() if lines else b""
        for line in lines:
            yield TOO_LONG if skipping or len(line) > MAX_LINE else line
            skipping = False
        if len(rest) > MAX_LINE:
            rest, skipping = rest[-1:], True
    if rest:
        yield TOO_LONG if skipping else rest
