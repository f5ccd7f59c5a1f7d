"""The id of this ledger in whatever several deployments share, such as a Redis server.

The stored id stays the same over restarts, failovers and upgrades. The database's name is part of the digest, so a copy
that was restored under another name (or made with CREATE DATABASE … TEMPLATE) is another ledger.
"""

from __future__ import annotations

from .pool import Pool, acquire_within

_READ = """
SELECT left(encode(sha256(convert_to(id::text || ' ' || current_database(), 'UTF8')), 'hex'), 16)
FROM ledger_identity"""


async def read_ledger_id(pool: Pool) -> str:
    """Return 16 hexadecimal digits that no other ledger has."""
    async with acquire_within(pool) as connection:
        return str(await connection.fetchval(_READ))
