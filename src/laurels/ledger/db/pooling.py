"""Poolers between us and PostgreSQL: which can be used, and how one is told from a server.

Laurels keeps prepared statements, session settings and an advisory lock for as long as a connection lives. A pooler in
session mode gives each connection a server of its own, and that works. In transaction mode it gives one per
transaction: statements are missing there or are another client's, and a lock belongs to nobody in particular.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import structlog

from .dsn import ConnectionString

log = structlog.get_logger(__name__)

ROUNDS = 20
"""Other clients of a pooler may take a server between two of our transactions; not every time."""
TRANSACTION_MODE = (
    "a pooler in transaction mode stands before PostgreSQL: connect to PostgreSQL itself, or set pool_mode = session"
)

Connect = Callable[[], Awaitable[Any]]


async def shares_sessions(connect: Connect) -> bool:
    """Return whether connections share server sessions. `connect` makes one without a cache of statements.

    A server tells its process id when it is connected to; a pooler tells a number of its own. Only then is there more
    to find out: in turn, one connection asks for the process that serves it while the other holds a transaction open.
    """
    one = await connect()
    try:
        served_by = await _process(one)
        if served_by == one.get_server_pid():
            return False
        other = await connect()
        try:
            return await _take_turns(one, other, served_by)
        finally:
            other.terminate()
    except asyncpg.PostgresError as error:
        if "statement pooling" in str(error):  # stricter still: it refuses transactions and hangs up
            return True
        raise
    finally:
        one.terminate()


async def _take_turns(one: Any, other: Any, served_by: int) -> bool:
    for _ in range(ROUNDS):
        async with other.transaction():
            if await other.fetchval("SELECT pg_backend_pid()") == served_by:
                return True
            if await _process(one) != served_by:
                return True
    return False


async def _process(connection: Any) -> int:
    """Parse and execute must reach the same server: in a transaction they do."""
    async with connection.transaction():
        return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def missing_settings(connection: Any, wanted: dict[str, str]) -> list[str]:
    """Return the names of the connection's settings that are not in force: a pooler may be told to drop them."""
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[]) AND source <> 'client' ORDER BY 1",
        [name for name in wanted if name != "application_name"],
    )
    return [row["name"] for row in rows if row["setting"] != wanted[row["name"]]]


def warn_of_ignored(address: ConnectionString) -> None:
    """Log what of a connection string is not honoured, and what fills its gaps."""
    if address.ignored:
        log.warning("parameters of the database's address are ignored", parameters=", ".join(address.ignored))
    if address.from_environment:
        log.warning(
            "variables of libpq say what the database's address leaves out", names=", ".join(address.from_environment)
        )
