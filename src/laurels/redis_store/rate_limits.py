"""What users and addresses owe of their allowance, summed over all nodes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TypeAlias

from .store import Client, RedisStore

AT_ONCE = 500
"""Keys in one call: Redis does nothing else meanwhile, so it must be short (some 0.5 ms)."""

_SCRIPT = (resources.files(__package__) / "rate_limits.lua").read_text()


Key: TypeAlias = str | int | bytes


async def sync_rate_limits(store: RedisStore, policy: str, taken: Mapping[Key, float]) -> dict[Key, float]:
    """Add the seconds of allowance that this node granted; the seconds each key owes now. Raises RedisAway."""
    owed: dict[Key, float] = {}
    keys = list(taken)
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        names = [store.key("limits", policy, key.hex() if isinstance(key, bytes) else key) for key in some]
        amounts = [round(taken[key] * 1_000_000) for key in some]

        async def work(client: Client, names: list[str] = names, amounts: list[int] = amounts) -> list[int]:
            answer: list[int] = await client.register_script(_SCRIPT)(keys=names, args=amounts)
            return answer

        owed.update(zip(some, (micros / 1_000_000 for micros in await store.call(work)), strict=True))
    return owed
