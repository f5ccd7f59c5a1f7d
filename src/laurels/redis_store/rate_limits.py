"""GCRA state of rate limits, summed over all nodes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TypeAlias

from .store import Client, RedisStore

AT_ONCE = 500
"""Keys in one call, some 0.5 ms of Redis' time, in which other calls wait."""

_SCRIPT = (resources.files(__package__) / "rate_limits.lua").read_text()


Key: TypeAlias = str | int | bytes


async def sync_rate_limits(store: RedisStore, policy: str, granted: Mapping[Key, float]) -> dict[Key, float]:
    """Add the seconds of allowance that this node granted; return the seconds that each key has used over all nodes.

    That is its theoretical arrival time minus now. Raises RedisUnavailable.
    """
    used: dict[Key, float] = {}
    keys = list(granted)
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        names = [store.key("limits", policy, key.hex() if isinstance(key, bytes) else key) for key in some]
        amounts = [round(granted[key] * 1_000_000) for key in some]

        async def work(client: Client, names: list[str] = names, amounts: list[int] = amounts) -> list[int]:
            answer: list[int] = await client.register_script(_SCRIPT)(keys=names, args=amounts)
            return answer

        used.update(zip(some, (micros / 1_000_000 for micros in await store.call(work)), strict=True))
    return used
