"""Which of several servers to connect to.

asyncpg tries the hosts of an address in order under one time limit. A host that is frozen takes the connection and says
nothing: it would use that limit up, and the primary behind it would never be asked. Here each host has a limit of its
own, and the one that answered last is asked first.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from .dsn import parse

HOST_SECONDS = 1.0
"""A host in the same network answers in milliseconds; one that stands still may not hold up those after it."""

_ASK_THE_NEXT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also: a server that is not what target_session_attrs asks for
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""This server does not take us; another may."""


class Hosts:
    """The servers that one address names, each as an address of its own. Raises ValueError when it can't be read."""

    def __init__(self, url: str) -> None:
        self.address = parse(url)
        self._urls = list(self.address.urls)

    async def connect(self, _: str, **options: Any) -> asyncpg.Connection:
        """Connect to the first that answers and is what `target_session_attrs` asks for.

        Raises what the last of them raised.
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
