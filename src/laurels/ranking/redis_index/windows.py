"""Windows of the index in Redis: one Lua script per operation.

The keys of a window carry the epoch it was built in. Every script refuses a window that is incomplete or was built on
another server process: after a restart, flush, failover or loss of a key Redis answers `IndexGone`, never a wrong
rank. Which epoch counts, and whether it is complete, is recorded in the ledger (`standings/index_generations.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from ...domain.boards import Window
from ...domain.standings import Standing, order_key, sort_score, split_key
from ...redis_store import RedisStore
from ..index import MAX_TOP, Place, Position, Ranking, Shift, ranked_in_order, reaches_top
from .read_batcher import read_batcher
from .scripts import IndexGone, Run, Script, run_all

CHUNK = 500
"""Changes or users in one script call: some 8 ms of Redis' time (2 ms without ranks), in which other calls wait."""
PAGE = 5_000
"""Members read in one call of `members`."""
KEYS_REMEMBERED = 256
"""Generations whose key names are cached: those of the open windows, with room for replacements."""
APPLY_SECONDS = 0.3
"""Time that an acknowledgement waits for its ranks: six times what a batch of a thousand takes."""
BULK_MEMBERS = 4 * CHUNK
"""Members in one round trip of a bulk load: some 6 ms of Redis' time, without a break for other calls."""
_KEY, _VERSION, _ENTRY = 24, 8, 32
_RANKS = b""
T = TypeVar("T")


POSITION, SLICE, PLACES, PLACE_OF, FROM_PLACE = map(Script, ("position", "slice", "places", "place_of", "page"))
APPLY, CREATE, MEMBERS = Script("apply", writes=True), Script("create", writes=True, alone=True), Script("members")


@dataclass(frozen=True, slots=True)
class IndexGeneration:
    """A window under the epoch it was built in."""

    window: Window
    epoch: str


@dataclass(frozen=True, slots=True)
class WindowChanges:
    """Changes of one window. `ranks_wanted`: users without a change whose ranks are returned too.

    `ranked` false: no ranks are returned, which saves most of the work.
    """

    generation: IndexGeneration
    standings: Mapping[int, Standing]
    ranks_wanted: Collection[int] = ()
    ranked: bool = True


class RedisWindows:
    """Windows of the index in one Redis. Every method raises RedisUnavailable or IndexGone."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._reads = read_batcher(store)
        self.keys = lru_cache(KEYS_REMEMBERED)(self._make_keys)
        self.address = store.address

    async def create(self, generation: IndexGeneration, first_seq: int) -> str:
        """Create an empty window; return the server's run id."""
        board = generation.window.board
        server: bytes = await self._store.call(
            lambda redis: CREATE.run(redis, self.keys(generation.window.id, generation.epoch), board.ties, first_seq),
            idempotent=True,
        )
        return server.decode()

    async def ping(self) -> None:
        """Raise RedisUnavailable if Redis does not answer."""
        await self._store.call(lambda redis: redis.ping(), idempotent=True)

    async def drop(self, window_id: int, epoch: str) -> None:
        """Delete the keys of a generation, if there are any."""
        await self._store.call(lambda redis: redis.unlink(*self.keys(window_id, epoch)), idempotent=True)

    async def apply(self, parts: Sequence[WindowChanges], batch_id: int) -> list[Shift | IndexGone]:
        """Apply a batch to all windows in one round trip and mark it; return the ranks before and after.

        Applying is idempotent by version, but the call is not repeated: a second reply would have other ranks before.
        """
        runs = [self._apply_call(part, [batch_id]) for part in parts]
        replies = await self._store.call(lambda redis: run_all(redis, runs), seconds=APPLY_SECONDS)
        return [
            reply if isinstance(reply, IndexGone) else _shift(part, reply)
            for part, reply in zip(parts, replies, strict=True)
        ]

    async def upsert(
        self, generation: IndexGeneration, standings: Mapping[int, Standing], batch_ids: Sequence[int] = ()
    ) -> Shift:
        """Apply standings in chunks, without ranks; mark the batches with the last chunk."""
        chunks = [dict(chunk) for chunk in _chunks(list(standings.items()))] or [{}]
        news = top = False
        for chunk in chunks:
            marks = batch_ids if chunk is chunks[-1] else ()
            reply = await self._call(
                APPLY, generation, *_apply_arguments(WindowChanges(generation, chunk, ranked=False), marks)
            )
            news, top = news or bool(reply[2]), top or bool(reply[3])
        return Shift(reply[0], reply[1], news, top, {})

    async def bulk_load(self, generation: IndexGeneration, packed: bytes) -> None:
        """Load what `standings.packed` yielded, at most BULK_MEMBERS members, in one round trip."""
        keys = self.keys(generation.window.id, generation.epoch)
        runs = [(APPLY, keys, (some, b"", b"", MAX_TOP)) for some in _split(packed, CHUNK * _ENTRY)]
        for reply in await self._store.call(lambda redis: run_all(redis, runs), idempotent=True):
            if isinstance(reply, IndexGone):
                raise reply

    async def unmarked(self, generation: IndexGeneration, batch_ids: Sequence[int]) -> set[int]:
        """Return the batches that were not applied to the window."""
        missing: set[int] = set()
        for some in _chunks(batch_ids) if batch_ids else [[]]:  # also called without batches, to check the window
            reply = await self._call(POSITION, generation, *some)
            missing.update(reply[2:])
        return missing

    async def position(self, generation: IndexGeneration) -> Position:
        """Return how far the window is."""
        reply = await self._read(POSITION, generation)
        return Position(generation.epoch, reply[0])

    async def top(self, generation: IndexGeneration, size: int) -> Ranking:
        """Return the best `size` places."""
        return _ranking(generation, await self._read(SLICE, generation, b"", size))

    async def around(self, generation: IndexGeneration, user_id: int, radius: int) -> Ranking:
        """Return a user's place with up to `radius` neighbours on each side; empty if unplaced."""
        return _ranking(generation, await self._read(SLICE, generation, user_id.to_bytes(8, "big"), radius))

    async def page(self, generation: IndexGeneration, first: int, size: int) -> Ranking:
        """Return `size` places from position `first`."""
        return _ranking(generation, await self._read(FROM_PLACE, generation, b"", first - 1, size))

    async def after(self, generation: IndexGeneration, key: bytes, size: int) -> Ranking:
        """Return the `size` places behind an order key."""
        return _ranking(generation, await self._read(FROM_PLACE, generation, key, 0, size))

    async def places(self, generation: IndexGeneration, user_ids: Collection[int]) -> Ranking:
        """Return the users' places: up to CHUNK of one instant, more of several, with the seq of the last."""
        found: list[Place] = []
        for some in _chunks(list(user_ids)) if user_ids else [[]]:
            reply = await self._read(PLACES, generation, _ids(some))
            for user_id, rank, value in zip(some, reply[2::2], reply[3::2], strict=True):
                if rank:
                    found.append(_place(generation, value[_VERSION:] + user_id.to_bytes(8, "big"), rank))
        return Ranking(generation.epoch, reply[0], reply[1], tuple(found))

    async def place_of(self, generation: IndexGeneration, user_id: int, standing: Standing) -> Place:
        """Return the place that a standing which is not on the board would take."""
        reply = await self._read(PLACE_OF, generation, _key(generation, user_id, standing))
        return Place(reply[2], user_id, standing.score, standing.reached_at)

    async def held(self, generation: IndexGeneration, user_ids: Sequence[int]) -> dict[int, Standing]:
        """Return the standings that the window holds of these users."""
        found = {}
        for some in _chunks(user_ids):
            reply = await self._call(PLACES, generation, _ids(some))
            for user_id, value in zip(some, reply[3::2], strict=True):
                if len(value) == _KEY:
                    found[user_id] = _standing(generation, value + user_id.to_bytes(8, "big"))[1]
        return found

    async def members(self, generation: IndexGeneration) -> AsyncIterator[dict[int, Standing]]:
        """Yield all standings in pages; those that move meanwhile may be missing or come twice."""
        start = 0
        while page := await self._call(MEMBERS, generation, start, start + PAGE - 1, 0):
            yield dict(_standing(generation, entry) for entry in _split(page, _ENTRY))
            start += PAGE

    async def sample(self, generation: IndexGeneration, size: int) -> list[int]:
        """Return at most `size` user ids: the first of the board and random others."""
        top = await self._call(MEMBERS, generation, 0, min(MAX_TOP, size) - 1, 0)
        others = await self._call(MEMBERS, generation, 0, 0, size)
        users = {split_key(entry[_VERSION:])[2]: None for entry in _split(top + others, _ENTRY)}
        return list(users)[:size]

    async def count(self, generation: IndexGeneration) -> int:
        """Return how many users are on the board."""
        reply = await self._read(POSITION, generation)
        return int(reply[1])

    async def _read(self, script: Script, generation: IndexGeneration, *arguments: bytes | str | int) -> Any:
        """Read together with other callers, in one round trip."""
        return await self._reads.request((script, self.keys(generation.window.id, generation.epoch), arguments))

    async def _call(self, script: Script, generation: IndexGeneration, *arguments: bytes | str | int) -> Any:
        keys = self.keys(generation.window.id, generation.epoch)
        return await self._store.call(lambda redis: script.run(redis, keys, *arguments), idempotent=True)

    def _apply_call(self, part: WindowChanges, batch_ids: Sequence[int]) -> Run:
        return APPLY, self.keys(part.generation.window.id, part.generation.epoch), _apply_arguments(part, batch_ids)

    def _make_keys(self, window_id: int, epoch: str) -> tuple[str, ...]:
        return tuple(
            self._store.key(f"{window_id}.{epoch}", name)
            for name in ("order", "users", "scores", "counts", "marks", "state")
        )


def _apply_arguments(part: WindowChanges, batch_ids: Sequence[int]) -> tuple[bytes | str | int, ...]:
    order = part.generation.window.board.order
    puts, removes = [], []
    for user_id, standing in part.standings.items():
        version = standing.version.to_bytes(_VERSION, "big")
        if standing.hidden:
            removes.append(version + user_id.to_bytes(8, "big"))
        else:
            puts.append(version + order_key(sort_score(standing.score, order), standing.reached_at, user_id))
    blobs = b"".join(puts), b"".join(removes), _ids(_unchanged_wanted(part))
    return (*blobs, _RANKS if part.ranked else MAX_TOP, *batch_ids)


def _unchanged_wanted(part: WindowChanges) -> list[int]:
    return [user_id for user_id in part.ranks_wanted if user_id not in part.standings]


def _shift(part: WindowChanges, reply: list[int]) -> Shift:
    seq, total, news, top, *pairs = reply
    if not part.ranked:
        return Shift(seq, total, bool(news), bool(top), {})
    shown = [user_id for user_id, standing in part.standings.items() if not standing.hidden]
    if len(shown) < len(part.standings):
        shown += [user_id for user_id, standing in part.standings.items() if standing.hidden]
    users, ranks = shown + _unchanged_wanted(part), [rank if rank > 0 else None for rank in pairs]
    moves = dict(zip(users, zip(ranks[::2], ranks[1::2], strict=True), strict=True))
    repeated = frozenset(user for user, before in zip(users, pairs[::2], strict=True) if before < 0)
    return Shift(seq, total, bool(news), reaches_top(moves), moves, repeated)


def _ranking(generation: IndexGeneration, reply: list[Any]) -> Ranking:
    """Return consecutive places. Their ranks follow from the first: equal scores share one, unless ties are ordinal."""
    seq, total, *rest = reply
    if not rest:
        return Ranking(generation.epoch, seq, total, ())
    ordinal, rank, *keys = rest
    found = (_place(generation, key, 0) for key in keys)
    return Ranking(generation.epoch, seq, total, ranked_in_order(generation.window.board, ordinal, rank, found))


def _place(generation: IndexGeneration, key: bytes, rank: int) -> Place:
    value, reached_at, user_id = split_key(key)
    return Place(rank, user_id, sort_score(value, generation.window.board.order), reached_at)


def _standing(generation: IndexGeneration, entry: bytes) -> tuple[int, Standing]:
    place = _place(generation, entry[_VERSION:], 0)
    return place.user_id, Standing(place.score, place.reached_at, int.from_bytes(entry[:_VERSION], "big"))


def _key(generation: IndexGeneration, user_id: int, standing: Standing) -> bytes:
    return order_key(sort_score(standing.score, generation.window.board.order), standing.reached_at, user_id)


def _ids(user_ids: Collection[int]) -> bytes:
    return b"".join(user_id.to_bytes(8, "big") for user_id in user_ids)


def _split(text: bytes, width: int) -> Iterator[bytes]:
    return (text[at : at + width] for at in range(0, len(text), width))


def _chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
