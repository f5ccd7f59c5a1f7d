"""Names for rows, whatever is forgotten meanwhile."""

from __future__ import annotations

import asyncpg

from laurels.ledger.accounts.directory import Directory
from laurels.ledger.db.pool import Pool
from laurels.ledger.db.replicas import Reads


class Interrupted(Reads):
    """A snapshot is taken during the read: all names are invalidated."""

    directory: Directory

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        rows = await super().fetch(statement, *arguments)
        self.directory.forget()
        return rows


async def _register(pool: Pool, name: str) -> int:
    statement = "INSERT INTO users (username, username_fold, username_skeleton) VALUES ($1, $1, $1) RETURNING id"
    return int(await pool.fetchval(statement, name))


async def test_who_was_known_is_known_though_all_are_forgotten_while_others_are_read(pool: Pool) -> None:
    """Kept up: a board whose names are half in the cache is shown also while a snapshot is taken."""
    ada, grace = await _register(pool, "ada"), await _register(pool, "grace")
    reads = Interrupted(pool, [])
    directory = reads.directory = Directory(reads)
    directory._keep(await directory.people([ada]))
    people = await directory.people([ada, grace])
    assert {user_id: person.username for user_id, person in people.items()} == {ada: "ada", grace: "grace"}
