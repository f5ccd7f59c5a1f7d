"""Names that are similar to privileged ones: those of operators, and the reserved list.

Names that look alike across scripts are refused to everyone, by a unique index. Names that are similar within one
script are legitimate, and refused only where their user could be mistaken for an operator. Taking a name holds a
shared lock and making an operator an exclusive one, so that each sees the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...domain.errors import Code, LaurelsError
from ...domain.names import Name
from ..db.pool import Connection

_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(5498132)"
_LOCK = "SELECT pg_advisory_xact_lock(5498132)"
NEAR_OPERATOR = "SELECT EXISTS (SELECT FROM users WHERE username_similar = $1 AND role <> 'player')"
SIMILAR = """
SELECT s.id, s.username FROM users u JOIN users s ON s.username_similar = u.username_similar
WHERE u.id = $1 AND s.id <> $1 AND s.status <> 'erased' ORDER BY s.id LIMIT 5"""


@dataclass(frozen=True, slots=True)
class NameGuard:
    """`reserved`: the keys (`similar_keys`) that no player's name may have."""

    reserved: Collection[str] = frozenset()

    async def is_free_for_player(self, connection: Connection, name: Name) -> bool:
        """Return whether a name is similar to no privileged one. That holds until the transaction ends."""
        await connection.execute(_LOCK_SHARED)
        return name.similar not in self.reserved and not await connection.fetchval(NEAR_OPERATOR, name.similar)


async def exclude_new_names(connection: Connection) -> None:
    """Wait for names that are being taken, and let no other begin until the transaction ends.

    Call it before a row of a name is written.
    """
    await connection.execute(_LOCK)


async def check_promotion(connection: Connection, user_id: int) -> None:
    """Refuse to promote an account that is similar in name to another one, inside the promotion's transaction.

    Raises LaurelsError(NAME_SIMILAR), which names the others.
    """
    await exclude_new_names(connection)
    similar = await connection.fetch(SIMILAR, user_id)
    if similar:
        others = ", ".join(f"{row['username']!r} (id {row['id']})" for row in similar)
        raise LaurelsError(
            Code.NAME_SIMILAR,
            f"Others could be taken for this operator: {others}. Choose another account, or allow it (allow_similar).",
        )
