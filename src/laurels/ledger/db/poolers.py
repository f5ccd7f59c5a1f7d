"""Poolers in front of PostgreSQL: which can be used, and how one is recognised.

Laurels keeps prepared statements, session settings and an advisory lock for the life of a connection. A pooler in
session mode gives each connection a server session of its own, and works. In transaction mode it gives one per
transaction: there a prepared statement is missing or belongs to another client, and a lock has no owner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import structlog

from .dsn import ConnectionString

log = structlog.get_logger(__name__)

ROUNDS = 20
"""Tries: other clients of a pooler may take a server session between two transactions, but not every time."""
TRANSACTION_MODE = (
    "a pooler in transaction mode is in front of PostgreSQL: connect to PostgreSQL itself, or set pool_mode = session"
)

Connect = Callable[[], Awaitable[Any]]


async def shares_sessions(connect: Connect) -> bool:
    """Return whether connections share server sessions. `connect` opens one without a statement cache.

    A server reports its process id to a new connection, while a pooler reports a number of its own. With a pooler, one
    connection repeatedly asks which process serves it while the other holds a transaction open.
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
        if "statement pooling" in str(error):  # stricter still: it refuses transactions and closes the connection
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
    """Return the process that serves the connection. In a transaction, so that parse and execute reach the same one."""
    async with connection.transaction():
        return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def missing_settings(connection: Any, wanted: dict[str, str]) -> list[str]:
    """Return the names of settings that are not in force: a pooler may be configured to drop them."""
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[]) AND source <> 'client' ORDER BY 1",
        [name for name in wanted if name != "application_name"],
    )
    return [row["name"] for row in rows if row["setting"] != wanted[row["name"]]]


def warn_of_ignored(address: ConnectionString) -> None:
    """Log the parameters of a connection string that are ignored, and the variables that fill its gaps."""
    if address.ignored:
        log.warning("parameters of the database's address are ignored", parameters=", ".join(address.ignored))
    if address.from_environment:
        log.warning(
            "variables of libpq say what the database's address leaves out", names=", ".join(address.from_environment)
        )
