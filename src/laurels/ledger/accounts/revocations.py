"""Access tokens that ended before their expiry; checked in memory on every request.

A user has an entry while one of the tokens it ended could still be valid. Changes arrive through the journal (kinds
`users` and `sessions`).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import asyncpg

from ..db.pool import Pool, acquire, acquire_within

LIFE = timedelta(days=1, minutes=10)
"""No access token of ours lives longer (LAURELS_TOKEN_SECONDS); those of external issuers are read again sooner."""
LIMIT = 100_000
"""Users with an entry. Beyond it the oldest are forgotten, and every token as old as theirs must be refreshed."""

# LATERAL with a LIMIT: one look-up per row or user. A join reads all users, or all sessions that ended, where the
# planner believes that few users have nearly all rows, or that nothing has ended yet.
LATEST_USERS = """
SELECT id, token_generation, extract(epoch FROM tokens_not_before)::float8 AS not_before FROM users
WHERE tokens_not_before > now() - $1::interval ORDER BY tokens_not_before DESC LIMIT $2"""
LATEST_SESSIONS = """
SELECT r.user_id, u.token_generation, r.family, extract(epoch FROM r.access_until)::float8 AS until,
       r.generation = u.token_generation AS is_current
FROM (SELECT * FROM refresh_tokens WHERE revoked_at IS NOT NULL AND access_until > now()
      ORDER BY access_until DESC LIMIT $1) r
CROSS JOIN LATERAL (SELECT token_generation FROM users WHERE id = r.user_id LIMIT 1) u"""
USERS_AMONG = """
SELECT u.id, u.token_generation, extract(epoch FROM u.tokens_not_before)::float8 AS not_before
FROM unnest($2::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT id, token_generation, tokens_not_before FROM users WHERE id = k.id LIMIT 1) u
WHERE u.tokens_not_before > now() - $1::interval ORDER BY u.tokens_not_before"""
# The time that is left as a difference, and BETWEEN: so the user's own tokens are looked up, not all that ended.
SESSIONS_AMONG = """
SELECT u.id AS user_id, u.token_generation, r.family, extract(epoch FROM max(r.access_until))::float8 AS until,
       true AS is_current
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT id, token_generation FROM users WHERE id = k.id LIMIT 1) u
CROSS JOIN LATERAL (
    SELECT family, access_until FROM refresh_tokens
    WHERE user_id BETWEEN u.id AND u.id AND revoked_at IS NOT NULL AND access_until - now() > interval '0'
      AND generation = u.token_generation OFFSET 0) r
GROUP BY u.id, u.token_generation, r.family ORDER BY u.id"""


class Token(Protocol):
    """The origin of a token. `generation` None: of an external issuer. `issued_at` -1: unknown."""

    @property
    def user_id(self) -> int: ...
    @property
    def issued_at(self) -> int: ...
    @property
    def generation(self) -> int | None: ...
    @property
    def session(self) -> str: ...


@dataclass(slots=True)
class _Entry:
    """`not_before` in whole seconds. `until`: when the last token that this ends has expired by itself."""

    generation: int = 0
    not_before: float = -math.inf
    sessions: set[str] = field(default_factory=set)
    until: float = 0.0

    def ends(self, token: Token) -> bool:
        if token.generation is None:
            return token.issued_at <= self.not_before
        return token.generation < self.generation or token.session in self.sessions


class Revocations:
    """Know which tokens have ended. Call `refresh` before the first use."""

    def __init__(self, pool: Pool, *, limit: int = LIMIT) -> None:
        self._pool = pool
        self._limit = limit
        # Not a BoundedDict: dropping a user raises the floor for everyone, so a tenth is dropped at once, and rarely.
        self.users: OrderedDict[int, _Entry] = OrderedDict()
        """Entries by user id. Whether a user has one is a first test that costs almost nothing."""
        self.floor = -math.inf
        """Tokens issued by then may have been ended by an entry that was forgotten."""
        self._listeners: list[Callable[[], None]] = []

    def on_floor_raised(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever `floor` has risen; now, if it has risen already."""
        self._listeners.append(listener)
        if self.floor > -math.inf:
            listener()

    def ends(self, token: Token) -> bool:
        """Return whether this token was ended before its expiry."""
        entry = self.users.get(token.user_id)
        return entry is not None and entry.ends(token)

    async def refresh(self) -> None:
        """Read the latest of all entries that could matter; if there are more, older tokens must be refreshed."""
        async with acquire(self._pool) as connection:
            users = await connection.fetch(LATEST_USERS, LIFE, self._limit + 1)
            sessions = await connection.fetch(LATEST_SESSIONS, self._limit + 1)
        self.users = OrderedDict(_entries(reversed(users), sessions))
        if max(len(users), len(sessions)) > self._limit:
            self._raise_floor()
        self._forget_oldest()

    async def changed(self, user_ids: Iterable[int]) -> None:
        """Read again what ended for these users."""
        ids = list(user_ids)
        async with acquire_within(self._pool) as connection:
            users = await connection.fetch(USERS_AMONG, LIFE, ids)
            fresh = _entries(users, await connection.fetch(SESSIONS_AMONG, ids))
        for user_id in ids:
            self.users.pop(user_id, None)
        self.users.update(fresh)
        self._forget_oldest()

    def forget_expired(self) -> None:
        """Drop the entries whose tokens have all expired by themselves."""
        now = time.time()
        for user_id in [user_id for user_id, entry in self.users.items() if entry.until < now]:
            del self.users[user_id]

    def _forget_oldest(self) -> None:
        if len(self.users) <= self._limit:
            return
        self.forget_expired()
        if len(self.users) > self._limit:
            while len(self.users) > self._limit * 0.9:
                self.users.popitem(last=False)
            self._raise_floor()

    def _raise_floor(self) -> None:
        self.floor = time.time()
        for listener in self._listeners:
            listener()


def _entries(users: Iterable[asyncpg.Record], sessions: Iterable[asyncpg.Record]) -> dict[int, _Entry]:
    found: dict[int, _Entry] = {}
    for row in users:
        until = row["not_before"] + LIFE.total_seconds()
        found[row["id"]] = _Entry(row["token_generation"], math.floor(row["not_before"]), until=until)
    for row in (row for row in sessions if row["is_current"]):
        entry = found.setdefault(row["user_id"], _Entry(row["token_generation"]))
        entry.sessions.add(row["family"].hex)
        entry.until = max(entry.until, row["until"])
    return found
