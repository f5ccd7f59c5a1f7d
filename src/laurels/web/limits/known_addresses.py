"""The addresses from which an account was logged in to: the latest in this process, all of the last month in Redis.

Redis is asked only for a log-in that would otherwise be refused, and updated behind the request.
"""

from __future__ import annotations

from ...concurrency.bounded_dict import BoundedDict
from ...redis_store import RedisStore, RedisUnavailable
from ...redis_store.store import Client

KNOWN_SECONDS = 30 * 86_400
ASK_SECONDS = 0.2
MAX_UNSHARED = 10_000
"""Pairs recorded between two synchronisations; further ones are known to this node only."""
PAIRS_PER_CALL = 500


class KnownAddresses:
    """Pairs of account and address, as digests; the latest `pairs` are held here. Belongs to one event loop."""

    def __init__(self, store: RedisStore | None = None, *, pairs: int = 100_000) -> None:
        self._store = store
        self._held: BoundedDict[bytes, None] = BoundedDict(pairs)
        self._unshared: dict[bytes, None] = {}

    def __contains__(self, pair: bytes) -> bool:
        return pair in self._held

    def add(self, pair: bytes) -> None:
        """Record a successful log-in."""
        self._held.put(pair, None)
        if self._store is not None and len(self._unshared) < MAX_UNSHARED:
            self._unshared[pair] = None

    async def is_known_elsewhere(self, pair: bytes) -> bool:
        """Return whether any node knows the pair, from Redis; False without an answer in time."""
        if self._store is None:
            return False
        key = self._key(self._store, pair)
        try:
            found = await self._store.call(lambda redis: redis.exists(key), seconds=ASK_SECONDS, idempotent=True)
        except RedisUnavailable:
            return False
        if found:
            self._held.put(pair, None)
        return bool(found)

    async def share(self) -> None:
        """Write the new pairs to Redis. Raises RedisUnavailable; pairs that were not written stay local."""
        new, self._unshared = list(self._unshared), {}
        store = self._store
        if store is None:
            return
        for start in range(0, len(new), PAIRS_PER_CALL):
            keys = [self._key(store, pair) for pair in new[start : start + PAIRS_PER_CALL]]

            async def work(redis: Client, keys: list[str] = keys) -> None:
                pipe = redis.pipeline(transaction=False)
                for key in keys:
                    pipe.set(key, b"", ex=KNOWN_SECONDS)
                await pipe.execute()

            await store.call(work, idempotent=True)

    def _key(self, store: RedisStore, pair: bytes) -> str:
        return store.key("known_addresses", pair.hex())
