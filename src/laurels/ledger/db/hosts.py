"""Choose one of several servers to connect to.

asyncpg tries the hosts of an address in order under one time limit. A frozen host accepts the connection and sends
nothing: it would use up that limit, and the primary after it in the list would never be tried. Here each host has its
own limit, and the one that answered last is tried first.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from .dsn import parse

HOST_SECONDS = 1.0
"""A host in the same network answers in milliseconds; a frozen one must not delay those after it."""

_ASK_THE_NEXT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # includes a server that does not match target_session_attrs
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""This server does not accept the connection; another may."""


class Hosts:
    """The servers of one address, each with an address of its own. Raises ValueError when it can't be parsed."""

    def __init__(self, url: str) -> None:
        self.address = parse(url)
        self._urls = list(self.address.urls)

    async def connect(self, _: str, **options: Any) -> asyncpg.Connection:
        """Connect to the first server that answers and matches `target_session_attrs`.

        Raises the error of the last one tried.
        """
        options = self._options(options)
        if len(self._urls) == 1:
            return await asyncpg.connect(self._urls[0], **options)
        failure: Exception | None = None
        limit = self.address.connect_timeout or HOST_SECONDS
        for url in list(self._urls):
            try:
                connection = await asyncpg.connect(url, **{**options, "timeout": limit})
            except _ASK_THE_NEXT as error:
                failure = error
                continue
            self._prefer(url)
            return connection
        raise failure or ConnectionError("the address names no host")

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        address = self.address
        options = {**options, **address.options}
        if address.connect_timeout is not None:
            options["timeout"] = address.connect_timeout
        if address.application_name is not None:
            options["server_settings"] = {
                **options.get("server_settings", {}),
                "application_name": address.application_name,
            }
        return options

    def _prefer(self, url: str) -> None:
        if self._urls[0] != url:
            self._urls.sort(key=lambda known: known != url)
