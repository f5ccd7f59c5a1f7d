"""Ids of actions, reserved from their sequence 1,024 at a time (ADR 20).

An id is greater than every id reserved before it, so the ids of one user's rows have their order.
"""

from __future__ import annotations

from collections.abc import Sequence

from .pool import Connection, DatabaseUnusable

AT_ONCE = 1_024
"""Ids that one number of the sequence stands for: its increment in the schema. load_batch.sql repeats it."""
DRAW = f"SELECT nextval('actions_id_seq') FROM generate_series(1, ($1::int + {AT_ONCE - 1}) / {AT_ONCE})"

_INCREMENT = "SELECT seqincrement FROM pg_sequence WHERE seqrelid = 'actions_id_seq'::regclass"


def spread(firsts: Sequence[int]) -> Sequence[int]:
    """Return the ids that these numbers of the sequence stand for."""
    ranges = [range(first, first + AT_ONCE) for first in firsts]
    return ranges[0] if len(ranges) == 1 else [number for numbers in ranges for number in numbers]


async def check(connection: Connection) -> None:
    """Raise DatabaseUnusable if two batches would get the same ids, because the sequence was created again by hand."""
    if await connection.fetchval(_INCREMENT) < AT_ONCE:
        raise DatabaseUnusable(
            f"actions_id_seq must count in steps of {AT_ONCE}: run ALTER SEQUENCE actions_id_seq INCREMENT BY {AT_ONCE}"
        )
