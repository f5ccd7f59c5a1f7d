"""Parts of the cluster, and their health checks."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 2.0
"""Timeout of one health check."""


class Unhealthy(Exception):
    """The part is not healthy; the message says what was observed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process with its configuration and health check.

    `check` returns the state of the part ("ready", "primary") or raises Unhealthy. `prepare` writes its configuration
    before each start. `strays` are ids of processes that leave its session. `start_seconds` bounds its start.
    `machine`: its network namespace, if any.
    """

    name: str
    layer: str
    address: str
    command: Sequence[str]
    check: Callable[[], str]
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    strays: Callable[[], list[int]] = list
    start_seconds: float = 60.0
    stop_seconds: float = 15.0
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Idempotent work between two stages."""

    name: str
    work: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Parts that start at the same time, after `before` and followed by `then`."""

    parts: Sequence[Part]
    then: Sequence[Step] = ()


def fetch(address: str, path: str, *, authority: Path | None = None) -> tuple[int, bytes]:
    """Return (status, body) of a GET, over TLS if `authority` names the trusted certificate authority.

    Raises Unhealthy when there is no answer in time.
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
        raise Unhealthy(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def answers(address: str, path: str, words: str = "ready", authority: Path | None = None) -> Callable[[], str]:
    """Return a health check that expects 200 from a path."""

    def check() -> str:
        status, body = fetch(address, path, authority=authority)
        if status != 200:
            raise Unhealthy(f"{path} answers {status}: {body[:80].decode(errors='replace').strip()}")
        return words

    return check


def speak(address: str, lines: Sequence[str]) -> list[str]:
    """Send lines to a Redis-like server, one by one; return the first 8 KiB of each reply. Raises Unhealthy."""
    host, _, port = address.rpartition(":")
    replies = []
    try:
        with socket.create_connection((host, int(port)), LOOK_SECONDS) as connection:
            for line in lines:
                connection.sendall(line.encode() + b"\r\n")
                replies.append(connection.recv(8192).decode(errors="replace"))
    except OSError as error:
        raise Unhealthy(str(error) or type(error).__name__) from error
    return replies
