"""What a part is, and how its health is asked."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 2.0
"""How long one look at a part's health may take."""


class Unwell(Exception):
    """The part does not do its work; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process, and what belongs to it.

    `look` answers what the part is just now ("ready", "primary") or raises Unwell. `prepare` writes its configuration
    before each start. `strays` are ids of processes that leave its session. `start_seconds` bounds its start.
    `machine`: the network namespace it lives in, if any.
    """

    name: str
    layer: str
    address: str
    command: Sequence[str]
    look: Callable[[], str]
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    strays: Callable[[], list[int]] = list
    start_seconds: float = 60.0
    stop_seconds: float = 15.0
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Work that is done once between two stages, again harmless when done again."""

    name: str
    work: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Parts that start side by side, after `before` and followed by `then`."""

    parts: Sequence[Part]
    then: Sequence[Step] = ()


def fetch(address: str, path: str, *, authority: Path | None = None) -> tuple[int, bytes]:
    """(status, body) of a GET, over TLS when `authority` says whose certificates are believed.

    Raises Unwell when there is no answer in time.
    """
    connection = http.client.HTTPConnection(address, timeout=LOOK_SECONDS)
    try:
        if authority is not None:
            context = ssl.create_default_context(cafile=authority)
            connection = http.client.HTTPSConnection(address, timeout=LOOK_SECONDS, context=context)
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unwell(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def answers(address: str, path: str, words: str = "ready", authority: Path | None = None) -> Callable[[], str]:
    """A look that wants 200 from a path."""

    def look() -> str:
        status, body = fetch(address, path, authority=authority)
        if status != 200:
            raise Unwell(f"{path} answers {status}: {body[:80].decode(errors='replace').strip()}")
        return words

    return look


def speak(address: str, lines: Sequence[str]) -> list[str]:
    """Send lines to a Redis-like server, one by one; the first 8 KiB of each reply. Raises Unwell."""
    host, _, port = address.rpartition(":")
    replies = []
    try:
        with socket.create_connection((host, int(port)), LOOK_SECONDS) as connection:
            for line in lines:
                connection.sendall(line.encode() + b"\r\n")
                replies.append(connection.recv(8192).decode(errors="replace"))
    except OSError as error:
        raise Unwell(str(error) or type(error).__name__) from error
    return replies
