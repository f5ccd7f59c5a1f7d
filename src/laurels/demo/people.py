"""Simulated people: names worth reading, and habits that make a board move."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field

_FIRST = (
    "Ada Amara Anouk Aroha Bao Beatriz Bruno Chidi Clara Dalia Dario Eero Elif Emeka Esme Farid Freya Gael Hana Hugo "
    "Ines Isko Ivo Jalal Jonas Juno Kaia Kamal Kofi Lena Leif Lucia Malik Marta Mei Milo Nadia Naoki Nils Noor Oona "
    "Omar Pavel Priya Quinn Rania Ravi Rosa Sami Sanna Selma Tariq Tomas Uma Vera Viggo Wanda Xenia Yara Yusuf Zola"
)
_LAST = (
    "Alder Aster Beck Birch Brook Cedar Clay Comet Coral Dune Ember Fern Finch Flint Frost Gale Grove Hazel Heath "
    "Heron Iris Ivory Juniper Kite Lake Lark Linden Lotus Lumen Maple Marlow Meadow Moss North Oak Ocean Opal Otter "
    "Pine Pebble Quill Reed River Robin Rowan Sage Sky Sol Sparrow Stone Storm Swift Thorne Tide Vale West Willow Wren"
)
FIRST, LAST = _FIRST.split(), _LAST.split()

STRONG_SHARE = 0.12
HOT_SECONDS = (4.0, 12.0)
TIRED_SECONDS = (5.0, 20.0)
HOT, TIRED = 7.0, 0.25
"""Factors of how often a person plays, compared with usual."""


@dataclass(slots=True, eq=False)
class SimulatedPerson:
    """A player.

    pace          weight among the others when it is decided who acts next
    ambition      exponent: how much actions with a higher score are preferred
    taste         action type -> weight
    cheat         kind of cheater, or empty
    access_token  of the registration, until its first use
    not_before    action type -> instant of the event loop before which it is not tried again
    """

    name: str
    pace: float
    ambition: float
    taste: dict[str, float]
    cheat: str = ""
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15), repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    form: float = 1.0
    form_until: float = 0.0
    not_before: dict[str, float] = field(default_factory=dict)

    def weight(self, now: float, chance: random.Random) -> float:
        """Return how likely this person is to play next. Streaks begin and end by the clock."""
        if now >= self.form_until:
            self._turn(now, chance)
        return self.pace * self.form

    def choose(self, scores: dict[str, int], now: float, chance: random.Random) -> str | None:
        """Choose an action type by taste and ambition; None while this person may try none of them."""
        kinds = [kind for kind in scores if self.not_before.get(kind, 0.0) <= now]
        if not kinds:
            return None
        weights = [self.taste[kind] * max(scores[kind], 1) ** self.ambition for kind in kinds]
        return chance.choices(kinds, weights)[0]

    def _turn(self, now: float, chance: random.Random) -> None:
        """Change from usual to hot or tired, or back to usual."""
        if self.form != 1.0:
            self.form, span = 1.0, TIRED_SECONDS
        elif chance.random() < 0.4:
            self.form, span = HOT, HOT_SECONDS
        else:
            self.form, span = TIRED, TIRED_SECONDS
        self.form_until = now + chance.uniform(*span)


def invent_people(count: int, kinds: list[str], chance: random.Random) -> list[SimulatedPerson]:
    """Return `count` people with distinct names: a few strong players and many casual ones, in random order."""
    return [_person(name, kinds, chance) for name in _names(count, chance)]


def other_name(name: str, chance: random.Random) -> str:
    """Return another name for a person whose name is taken: the same with a short suffix."""
    return f"{name.rstrip('0123456789 ')} {chance.randrange(2, 1_000)}"


def _names(count: int, chance: random.Random) -> list[str]:
    pairs = len(FIRST) * len(LAST)
    chosen = chance.sample(range(pairs), min(count, pairs))
    names = [f"{FIRST[number // len(LAST)]} {LAST[number % len(LAST)]}" for number in chosen]
    return names + [f"{names[extra % pairs]} {2 + extra // pairs}" for extra in range(count - len(names))]


def _person(name: str, kinds: list[str], chance: random.Random) -> SimulatedPerson:
    strong = chance.random() < STRONG_SHARE
    return SimulatedPerson(
        name=name,
        pace=chance.uniform(2.5, 4.5) if strong else chance.lognormvariate(0.0, 0.6),
        ambition=chance.uniform(0.3, 0.7) if strong else chance.uniform(-0.3, 0.3),
        taste={kind: chance.uniform(0.3, 1.5) for kind in kinds},
    )
