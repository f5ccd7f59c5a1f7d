"""Rank look-ups and changes in memory as the board grows

In this process, without I/O. The floor is the same on bare structures: a bisection in a plain sorted list for a
rank; remove, add and the two bisections in a bare SortedList for a change.
"""

from __future__ import annotations

import asyncio
import bisect
import gc
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from sortedcontainers import SortedList

from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Standing, order_key, sort_score
from laurels.ledger.write.batch import StandingChange
from laurels.ranking.memory_index import MemoryIndex

from ..measure import Row, Spread, against
from . import Scene

WINDOW = Window(1, Board(1, "bench", "Bench", is_default=True), ALL_TIME)
LOOK_UPS = 5_000
CHANGES = 2_000
BATCH = 50
"""Changes in one applied batch, as a busy node commits them."""


async def measure(scene: Scene) -> list[Row]:
    looked: list[Row] = []
    applied: list[Row] = []
    for members in scene.sizes.members:
        scene.tick(f"ranks: {members:,} members")
        await asyncio.sleep(0)
        look, apply = _rows(members, scene.sizes.turns)
        looked.append(look)
        applied.append(apply)
    return [*looked, _growth("rank look-ups", looked), *applied, _growth("changes", applied)]


def standing(user: int) -> Standing:
    """Return a standing with a scattered place; many scores are tied."""
    return Standing(user * 7_919 % 100_000, 1_700_000_000_000_000 + user, 1)


def _rows(members: int, turns: int) -> tuple[Row, Row]:
    index = MemoryIndex("bench")
    index.window(WINDOW).load((user, standing(user)) for user in range(members))
    keys = sorted(_key(user, standing(user)) for user in range(members))
    bare = SortedList(keys)
    generator = random.Random(7)
    users = [generator.randrange(members) for _ in range(LOOK_UPS)]
    gc.collect()
    gc.freeze()
    looks, look_floors, applies, apply_floors = [], [], [], []
    for turn in range(turns + 1):
        pair = _look(index, users), _bisect(keys, users)
        change_pair = _apply(index, members, turn), _move(bare, members, turn)
        if turn:  # the first warms up
            looks.append(pair[0])
            look_floors.append(pair[1])
            applies.append(change_pair[0])
            apply_floors.append(change_pair[1])
    gc.unfreeze()
    return (
        against(f"Rank look-up among {members:,} members", "µs", looks, "bisection in a plain list", look_floors),
        against(f"Change with ranks before and after, {members:,}", "µs", applies, "bare SortedList", apply_floors),
    )


def _growth(what: str, rows: Sequence[Row]) -> Row:
    first, last = rows[0].figure.median, rows[-1].figure.median
    return Row(f"… growth of {what} from the smallest to the largest board", "times", Spread.of([last / first]))


def _look(index: MemoryIndex, users: Sequence[int]) -> float:
    def ask() -> None:
        for user in users:
            finish(index.places(WINDOW, [user]))

    return _per_call(ask, len(users))


def _bisect(keys: Sequence[bytes], users: Sequence[int]) -> float:
    wanted = [_key(user, standing(user)) for user in users]

    def find() -> None:
        for key in wanted:
            bisect.bisect_left(keys, key)

    return _per_call(find, len(users))


def _apply(index: MemoryIndex, members: int, turn: int) -> float:
    batches = [[StandingChange(WINDOW, user, _moved(user, turn)) for user in users] for users in _movers(members, turn)]

    def apply() -> None:
        for batch in batches:
            index.apply(batch)

    return _per_call(apply, len(batches) * BATCH)


def _move(keys: SortedList[bytes], members: int, turn: int) -> float:
    moves = [
        (_key(user, _moved(user, turn - 1) if turn else standing(user)), _key(user, _moved(user, turn)))
        for users in _movers(members, turn)
        for user in users
    ]
    present = [move for move in moves if move[0] in keys]

    def move() -> None:
        for old, new in present:
            keys.bisect_left(old)
            keys.remove(old)
            keys.add(new)
            keys.bisect_left(new)

    return _per_call(move, len(present))


def _movers(members: int, turn: int) -> list[list[int]]:
    """Return the same users every turn; each turn moves them from their last place."""
    del turn
    generator = random.Random(11)
    users = generator.sample(range(members), min(CHANGES, members))
    return [users[start : start + BATCH] for start in range(0, len(users) - BATCH + 1, BATCH)]


def _moved(user: int, turn: int) -> Standing:
    before = standing(user)
    return Standing(before.score + 10 * (turn + 1), before.reached_at + turn + 1, turn + 2)


def _key(user: int, value: Standing) -> bytes:
    return order_key(sort_score(value.score, "desc"), value.reached_at, user)


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits; a loop would take longer than the look-up."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def _per_call(work: Callable[[], None], calls: int) -> float:
    """µs."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) / calls * 1e6
