"""People who cheat, each in its own way, and the metadata of actions.

They play beside the others at their own pace, so that a table can show how many of them the detectors hold, and how
many honest people are held with them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .people import SimulatedPerson

Gap = Callable[[random.Random], float]

GAPS: dict[str, Gap] = {
    "flood": lambda chance: chance.uniform(0.05, 0.25),  # a script without a pause
    "metronome": lambda chance: 1.5,  # a script with one
    "parrot": lambda chance: 1.0 + chance.expovariate(1.0),  # by hand, with a forged result
}
"""Kind of cheater -> function that returns the seconds until the next action."""


def make_cheaters(people: list[SimulatedPerson], share: float, chance: random.Random) -> None:
    """Make about `share` of the people cheat, all kinds in turn."""
    kinds = list(GAPS)
    chosen = chance.sample(people, round(share * len(people)))
    for number, person in enumerate(chosen):
        person.cheat = kinds[number % len(kinds)]


def choose_type(
    person: SimulatedPerson, scores: dict[str, int], schemas: dict[str, Any], chance: random.Random
) -> str | None:
    """Return what a cheater completes: a parrot a type with metadata, where a forged result pays; others any."""
    kinds = [kind for kind in scores if schemas.get(kind)] if person.cheat == "parrot" else list(scores)
    return chance.choice(kinds or list(scores)) if scores else None


def make_metadata(schema: dict[str, Any] | None, chance: random.Random, *, best: bool = False) -> dict[str, Any] | None:
    """Return metadata that fits an action type's members; `best`: the most that each allows."""
    if not schema:
        return None
    return {name: _value(member, chance, best=best) for name, member in schema.items()}


def _value(member: dict[str, Any], chance: random.Random, *, best: bool) -> Any:
    allowed = member.get("one_of")
    if allowed:
        return allowed[-1] if best else chance.choice(allowed)
    if member["type"] == "boolean":
        return True if best else chance.random() < 0.5
    if member["type"] == "string":
        return "best" if best else f"try {chance.randrange(1_000)}"
    least, most = member.get("minimum") or 0.0, member.get("maximum") or 100.0
    number = most if best else chance.betavariate(5, 2) * (most - least) + least
    return round(number) if member["type"] == "integer" else round(number, 3)
