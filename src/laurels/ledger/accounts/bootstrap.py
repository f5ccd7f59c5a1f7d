"""Fill an empty ledger with what it needs to be usable. Every step may run twice, also on two nodes at once."""

from __future__ import annotations

from collections.abc import Callable

from ..db import action_ids
from ..db.pool import Connection, Pool, acquire
from . import name_keys

_BOARDS = """
INSERT INTO boards (slug, name, calendar, is_default)
SELECT * FROM (VALUES
    ('points', 'All time', '{}'::jsonb, true),
    ('points-weekly', 'This week', '{"every": "week"}', false)
) b
WHERE NOT EXISTS (SELECT FROM boards)
ON CONFLICT DO NOTHING"""
_SAMPLES = """
INSERT INTO action_types (name, description, base_score, scoring_rules)
SELECT name, description, base_score, rules::jsonb FROM (VALUES
    ('lesson', 'Finish a lesson', 10, '{}'),
    ('quiz', 'Pass a quiz; once every 2 seconds', 25, '{"version": 1, "cooldown_seconds": 2}'),
    ('daily-login', 'Show up; once a day', 5, '{"version": 1, "daily_cap": 1}'),
    ('profile-completed', 'Fill in your profile; once', 50, '{"version": 1, "total_cap": 1}'),
    ('race', 'Run a race; worth its accuracy', 40,
     '{"version": 1, "metadata": {"accuracy": {"type": "number", "required": true, "minimum": 0, "maximum": 1}},
       "multiplier": {"member": "accuracy", "minimum": 0, "maximum": 1}}')
) s (name, description, base_score, rules)
WHERE NOT EXISTS (SELECT FROM action_types)
ON CONFLICT DO NOTHING"""
_HAS_SIGNING_KEY = "SELECT EXISTS (SELECT FROM signing_keys WHERE retired_at IS NULL)"
_SIGNING_KEY = "INSERT INTO signing_keys (kid, private_jwk) VALUES ($1, $2::jsonb)"
_LOCK = "SELECT pg_advisory_xact_lock(5498121)"


async def prepare(pool: Pool, *, samples: bool, new_signing_key: Callable[[], tuple[str, str]]) -> None:
    """Create default boards, a signing key, keys of names and, if wanted, sample action types, where they are missing.

    Raises DatabaseUnusable for a ledger that would number actions twice.
    """
    async with acquire(pool) as connection, connection.transaction():
        await action_ids.check(connection)
        await connection.execute(_LOCK)
        await _prepare(connection, samples, new_signing_key)
    await name_keys.refresh(pool)


async def _prepare(connection: Connection, samples: bool, new_signing_key: Callable[[], tuple[str, str]]) -> None:
    await connection.execute(_BOARDS)
    if samples:
        await connection.execute(_SAMPLES)
    if not await connection.fetchval(_HAS_SIGNING_KEY):
        await connection.execute(_SIGNING_KEY, *new_signing_key())
