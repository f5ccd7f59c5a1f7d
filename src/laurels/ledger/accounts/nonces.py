"""Nonces of signed bodies, and tickets, that were used. Both are kept while they could be presented again."""

from __future__ import annotations

from ..db.pool import Pool, acquire_within
from ..db.trimming import AT_ONCE, delete_in_steps

_USE = "INSERT INTO signature_nonces (key_id, nonce) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_TRIM_NONCES = """
DELETE FROM signature_nonces WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM signature_nonces WHERE used_at < now() - interval '15 minutes' ORDER BY used_at LIMIT $1))"""
_TRIM_TICKETS = """
DELETE FROM ticket_uses WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ticket_uses WHERE expires_at < now() - interval '5 minutes' ORDER BY expires_at LIMIT $1))"""


async def use_nonce(pool: Pool, key_id: int, nonce: str) -> bool:
    """Record a nonce as used. Return False if another request was faster, on whatever node."""
    async with acquire_within(pool) as connection:
        return str(await connection.execute(_USE, key_id, nonce)) == "INSERT 0 1"


async def trim(pool: Pool, *, at_once: int = AT_ONCE) -> None:
    """Delete those of each that are too old to be accepted."""
    await delete_in_steps(pool, _TRIM_NONCES, at_once=at_once)
    await delete_in_steps(pool, _TRIM_TICKETS, at_once=at_once)
