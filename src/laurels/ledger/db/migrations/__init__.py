"""Apply the schema: numbered SQL files, in order, each in its own transaction, never edited once released.

Files are applied under an advisory lock, because several nodes may start at once, and with short lock and
statement timeouts, so that a migration that cannot get its locks fails instead of blocking all traffic behind it.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from ..pool import Connection, DatabaseUnusable, Pool

_LOCK = 0x4C61_7572_656C_73  # "Laurels"
_TABLE = """
CREATE TABLE schema_migrations (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


def scripts() -> list[tuple[str, str]]:
    """Return (name, SQL) of every migration, oldest first."""
    folder = resources.files(__package__)
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(name, (folder / name).read_text()) for name in names]


async def migrate(pool: Pool) -> list[str]:
    """Apply the missing migrations and return their names.

    Raises DatabaseUnusable when the database is newer than this program, or an applied file was edited.
    """
    async with pool.acquire() as connection:
        # Long enough to wait for another node that is migrating. The pool resets both settings on release.
        await connection.execute("SET lock_timeout = '60s'; SET statement_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            return await _apply_missing(connection)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _apply_missing(connection: Connection) -> list[str]:
    # Checked first: a node's role may read the table but not create one (`laurels migrate` is run by the owner).
    if not await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        await connection.execute(_TABLE)
    rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
    applied = {row["name"]: row["checksum"] for row in rows}
    known = scripts()
    _refuse_mismatch(applied, known)
    missing = [(name, sql) for name, sql in known if name not in applied]
    for name, sql in missing:
        await _apply(connection, name, sql)
    return [name for name, _ in missing]


async def _apply(connection: Connection, name: str, sql: str) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = '60s'")
        await connection.execute(sql)
        await connection.execute("INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", name, _checksum(sql))


def _refuse_mismatch(applied: dict[str, str], known: list[tuple[str, str]]) -> None:
    unknown = sorted(set(applied) - {name for name, _ in known})
    if unknown:
        raise DatabaseUnusable(
            f"the database has migration {unknown[-1]}, which this version does not know: "
            "run the newer version of Laurels"
        )
    for name, sql in known:
        if name in applied and applied[name] != _checksum(sql):
            raise DatabaseUnusable(f"migration {name} was edited after it was applied: restore the file")


def _checksum(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
