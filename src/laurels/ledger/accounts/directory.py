"""Names for ids, ids for names, and which users are blocked.

A bounded cache over `users`; the journal (kind `users`) drops entries that changed elsewhere. A name that was found is
kept for NAME_SECONDS at most. A name that was not found is not kept, so that new users are found at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from ... import telemetry
from ...concurrency.bounded_dict import BoundedDict
from ...concurrency.read_through import Loaded, ReadThrough
from ...domain.errors import Code, LaurelsError
from ...domain.names import fold_name
from ..db.pool import acquire, acquire_within
from ..db.replicas import Reads

_PEOPLE = "SELECT id, username, rank FROM users WHERE id = ANY ($1::bigint[])"
NAME_SECONDS = 300.0
WHO = "SELECT id, username, created_at FROM users WHERE username_fold = $1 AND status IN ('active', 'shadowed')"
_FIND_ANY = "SELECT id FROM users WHERE username_fold = $1"
_RESOLVE = """
WITH wanted AS (
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::text[])
    AS w (position, id, fold, issuer, subject)
)
SELECT w.position, u.id FROM wanted w JOIN users u ON u.id = w.id WHERE u.status <> 'erased'
UNION ALL
SELECT w.position, u.id FROM wanted w JOIN users u ON u.username_fold = w.fold WHERE u.status <> 'erased'
UNION ALL
SELECT w.position, u.id FROM wanted w
JOIN users u ON u.external_issuer = w.issuer AND u.external_subject = w.subject WHERE u.status <> 'erased'"""
_OFF_BOARD = "SELECT id, status FROM users WHERE status <> 'active'"
_OFF_BOARD_AMONG = _OFF_BOARD + " AND id = ANY ($1::bigint[])"


@dataclass(frozen=True, slots=True)
class PersonRef:
    """`snapshot_rank` is the rank on the default board at the last snapshot."""

    username: str
    snapshot_rank: int | None


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user who is not banned."""

    id: int
    username: str
    member_since: datetime


@dataclass(frozen=True, slots=True)
class UserRef:
    """One user, by id, by name, or by the subject of an external issuer."""

    id: int | None = None
    username: str | None = None
    issuer: str | None = None
    subject: str | None = None


class Directory:
    """Resolve users. Call `refresh_blocked` before the first use. Holds at most `limit` people."""

    def __init__(self, reads: Reads, *, limit: int = 100_000) -> None:
        self._reads = reads
        self._pool = reads.primary
        self._people: BoundedDict[int, PersonRef] = BoundedDict(limit)
        self._by_name: ReadThrough[str, KnownUser] = ReadThrough("names", seconds=NAME_SECONDS, limit=limit)
        self._hit, self._miss = (telemetry.CACHE.labels("people", outcome) for outcome in ("hit", "miss"))
        self._invalidated = telemetry.CACHE_INVALIDATED.labels("people")
        self.blocked: set[int] = set()
        """Ids of banned and erased users."""
        self.shadowed: set[int] = set()
        self.generation = 0
        """Grows whenever a cached name or snapshot rank may have changed."""

    async def people(self, user_ids: Iterable[int]) -> dict[int, PersonRef]:
        """Return the people with these ids; one query for those not in the cache."""
        wanted = list(user_ids)
        # Read before the query: a user invalidated while it runs would be neither queried nor still cached.
        known = {user_id: self._people[user_id] for user_id in wanted if user_id in self._people}
        missing = [user_id for user_id in wanted if user_id not in known]
        self._hit.inc(len(known))
        self._miss.inc(len(missing))
        if missing:
            generation = self.generation
            rows = await self._reads.fetch(_PEOPLE, missing)
            fresh = {row["id"]: PersonRef(row["username"], row["rank"]) for row in rows}
            if generation == self.generation:  # otherwise a user changed during the query
                self._keep(fresh)
            return known | fresh
        return known

    async def by_name(self, username: str) -> KnownUser:
        """Return the user of this name, in whatever case. Raises LaurelsError(USER_UNKNOWN).

        Banned users are not found: they are invisible to the public.
        """
        key = _key(username)
        if key is None:
            raise _unknown(username)
        return await self._by_name.get(key, self.generation, lambda: self._look_up(key, username))

    async def _look_up(self, key: str, username: str) -> Loaded[KnownUser]:
        generation = self.generation
        row = await self._reads.fetchrow(WHO, key)
        if row is None:
            raise _unknown(username)
        return generation, KnownUser(*row.values())

    async def find_any(self, username: str) -> int:
        """Return the id of a username, also of a banned user. Raises LaurelsError(USER_UNKNOWN)."""
        key = _key(username)
        row = None if key is None else await self._reads.fetchrow(_FIND_ANY, key)
        if row is None:
            raise _unknown(username)
        return int(row["id"])

    async def resolve(self, wanted: Sequence[UserRef]) -> list[int | None]:
        """Return the ids of these users, in order; None for unknown and erased ones. One query."""
        folds = [None if ref.username is None else _key(ref.username) for ref in wanted]
        columns = ([ref.id for ref in wanted], folds, [r.issuer for r in wanted], [r.subject for r in wanted])
        async with acquire_within(self._pool) as connection:
            found = dict(await connection.fetch(_RESOLVE, list(range(len(wanted))), *columns))
        return [found.get(position) for position in range(len(wanted))]

    async def refresh_blocked(self) -> None:
        """Read the whole list of banned, erased and shadowed users."""
        async with acquire(self._pool) as connection:
            rows = await connection.fetch(_OFF_BOARD)
        self.blocked.clear()
        self.shadowed.clear()
        self._take_off(rows)

    async def changed(self, user_ids: Iterable[int]) -> None:
        """Forget the names of users whom another process changed, and read whether they are on the boards."""
        ids = list(user_ids)
        self.forget(ids)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_OFF_BOARD_AMONG, ids)
        self.blocked.difference_update(ids)
        self.shadowed.difference_update(ids)
        self._take_off(rows)

    def _take_off(self, rows: Iterable[asyncpg.Record]) -> None:
        for user_id, status in rows:
            (self.shadowed if status == "shadowed" else self.blocked).add(user_id)

    def forget(self, user_ids: Iterable[int] | None = None) -> None:
        """Drop these people from the cache, or all of them."""
        self.generation += 1
        dropped = list(self._people if user_ids is None else self._people.keys() & set(user_ids))
        self._invalidated.inc(len(dropped))
        for user_id in dropped:
            del self._people[user_id]

    def _keep(self, fresh: dict[int, PersonRef]) -> None:
        for user_id, person in fresh.items():
            self._people.put(user_id, person)


def _unknown(username: str) -> LaurelsError:
    return LaurelsError(Code.USER_UNKNOWN, f"There is no user {username!r}.")


def _key(username: str) -> str | None:
    """Return the key under which a name is unique; None for text that PostgreSQL cannot store."""
    return None if "\0" in username else fold_name(username)
