"""What was used once: nonces of signed bodies, and tickets. Both are kept while they could be presented again."""

from __future__ import annotations

from .pool import Pool, prompt

_USE = "INSERT INTO signature_nonces (key_id, nonce) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_TRIM_NONCES = """
DELETE FROM signature_nonces WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM signature_nonces WHERE used_at < now() - interval '15 minutes' ORDER BY used_at LIMIT $1))"""
_TRIM_TICKETS = """
DELETE FROM ticket_uses WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ticket_uses WHERE expires_at < now() - interval '5 minutes' ORDER BY expires_at LIMIT $1))"""


async def use_nonce(pool: Pool, key_id: int, nonce: str) -> bool:
    """False when somebody was faster, on whatever node."""
    async with prompt(pool) as connection:
        return str(await connection.execute(_USE, key_id, nonce)) == "INSERT 0 1"


async def trim(pool: Pool, limit: int = 100_000) -> None:
    """Delete up to `limit` of each that are too old to be accepted."""
    async with prompt(pool) as connection:
        await connection.execute(_TRIM_NONCES, limit)
        await connection.execute(_TRIM_TICKETS, limit)
