"""Lines of a text file as people have them: with a byte order mark, CRLF, UTF-16; never more of it than a line.

What can't be decoded is named by its line and byte: guessing an encoding would change people's names.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from .errors import CommandFailed

MAX_LINE = 64 * 1024
_CHUNK = 64 * 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TooLong:
    """Stands for a line of more than MAX_LINE bytes, which was skipped."""


TOO_LONG = TooLong()


def read_text(stream: BinaryIO) -> Iterator[str | TooLong]:
    """Yield every line with its end: LF, CRLF or CR. Raises NotDone where the text is not UTF-8 (or UTF-16)."""
    for number, line in enumerate(_byte_lines(_chunks(stream)), 1):
        if isinstance(line, TooLong):
            yield line
            continue
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise CommandFailed(
                f"line {number}, byte {error.start + 1} of the line: 0x{line[error.start]:02x} is not UTF-8. "
                f"Convert the file first, such as: iconv -f windows-1252 -t utf-8 FILE > NEW"
            ) from error


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes in UTF-8, without a byte order mark."""
    head = stream.read(len(codecs.BOM_UTF8))
    if head.startswith(_UTF16):
        yield from _from_utf16(head, stream)
        return
    if b"\0" in head:
        raise CommandFailed("line 1: this is UTF-16 without a byte order mark. Convert it: iconv -f utf-16le -t utf-8")
    yield head.removeprefix(codecs.BOM_UTF8)
    while chunk := stream.read(_CHUNK):
        yield chunk


def _from_utf16(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Excel's "Unicode text"."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    position, chunk = 0, head
    while True:
        begins = position - len(decoder.getstate()[0])  # of what is decoded now: half a character may be left
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise CommandFailed(f"byte {begins + error.start + 1} of the file is not UTF-16") from error
        yield text.encode()
        if not chunk:
            return
        position += len(chunk)
        chunk = stream.read(_CHUNK)


def _byte_lines(chunks: Iterator[bytes]) -> Iterator[bytes | TooLong]:
    rest, skipping = b"", False
    for chunk in chunks:
        lines = (rest + chunk).splitlines(keepends=True)
        # The last one may go on in the next chunk, and a CR be followed by its LF.
        rest = lines.pop() if lines else b""
        for line in lines:
            yield TOO_LONG if skipping or len(line) > MAX_LINE else line
            skipping = False
        if len(rest) > MAX_LINE:
            rest, skipping = rest[-1:], True
    if rest:
        yield TOO_LONG if skipping else rest
