"""Standard streams that are written to the end.

A write to a pipe may accept only a part: a signal arrives, the kernel tears down the io_uring of an event loop that was
just closed, or another process left the pipe in non-blocking mode. Python repeats such a write only where it buffers.
With PYTHONUNBUFFERED, which containers set, it does not: the rest would be lost with exit code 0.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READER_GONE = 141
"""128 + SIGPIPE: the exit code that a shell reports for a command whose reader went away."""


class CompleteWriter(io.RawIOBase):
    """Writes all of what it is given to a file descriptor.

    `on_error` is called with the OSError of a write that failed, and may raise another exception.
    """

    def __init__(self, descriptor: int, on_error: Callable[[OSError], object]) -> None:
        self._descriptor = descriptor
        self._on_error = on_error

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._on_error(error)
                raise
        return size


def write_completely() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams that write everything.

    When standard output can't be written the process ends: silently with READER_GONE when its reader is gone, with a
    line and exit code 2 otherwise. It ends by SystemExit, which passes through task groups and `except Exception`.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the parent: libuv aborts when a socket gets its number
            nowhere = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.stdout = _complete(sys.stdout, _end)
    sys.stderr = _complete(sys.stderr, _leave_to_caller)


def discard_output() -> None:
    """Discard what is buffered and all later output: exiting must not wait for a reader."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)


def _complete(stream: TextIO, on_error: Callable[[OSError], object]) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:  # captured in memory
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(CompleteWriter(descriptor, on_error)),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _end(error: OSError) -> None:
    discard_output()
    if isinstance(error, BrokenPipeError):
        raise SystemExit(READER_GONE)
    sys.stderr.write(f"laurels: can't write standard output: {error.strerror}\n")
    raise SystemExit(2)


def _leave_to_caller(_: OSError) -> None:
    """Do nothing: logging expects OSError, and drops the line."""
