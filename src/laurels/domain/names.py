"""Usernames: which are allowed, and which count as the same.

A name is stored as the user typed it (NFKC-normalised) with three keys, all of which ignore invisible characters:

fold      case-insensitive; unique
skeleton  the same for names that look alike across scripts; unique
similar   the same for names that look alike at a glance; compared with privileged names alone (`name_guard`)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .confusables import similar_key, strict_key
from .errors import Code, LaurelsError
from .invisible import BLANK, IGNORABLE, is_mark, is_misplaced, strip_ignorable

MIN_LENGTH = 3
MAX_LENGTH = 32
MAX_MARKS_IN_A_ROW = 4
"""Enough for Hindi, Thai, Burmese and Hebrew with its points."""
MAX_STACKED_MARKS = 2
"""Of marks that are placed above or below any letter (Vietnamese needs two), and of enclosing ones."""
_STACKING = 200
"""The least combining class of marks that stack without end."""

# Cc control, Cf format (bidi overrides, zero-width), Cs surrogate, Co private, Cn unassigned, Zl/Zp separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Name:
    """A valid username with its keys."""

    display: str
    fold: str
    skeleton: str
    similar: str


def parse_name(raw: str) -> Name:
    """Normalise `raw` to NFKC and check it.

    Raises LaurelsError(USERNAME_INVALID), which names the rule that it breaks.
    """
    display = unicodedata.normalize("NFKC", raw)
    complaint = _complaint(display)
    if complaint:
        raise LaurelsError(Code.USERNAME_INVALID, complaint, path="$.username")
    return name_of(display)


def name_of(display: str) -> Name:
    """Return a name with its keys, unchecked: names of earlier versions may break a present rule."""
    return Name(display, fold_name(display), strict_key(display), similar_key(display))


def fold_name(name: str) -> str:
    """Return the key under which a name is unique, however it was typed; also for invalid names."""
    if name.isascii():
        return name.lower()
    visible = strip_ignorable(unicodedata.normalize("NFKC", name))
    return unicodedata.normalize("NFKC", visible.casefold())


def similar_keys(names: Iterable[str]) -> frozenset[str]:
    """Return the keys that other names must not have, for the names of a setting."""
    return frozenset(similar_key(unicodedata.normalize("NFKC", name)) for name in names)


def external_names(wanted: str | None, mark: str) -> list[Name]:
    """Return names to try for a user of an external issuer, best first.

    The wanted name; with 4 or 8 characters of `mark`; then `player-` and more of it. `mark` is 24 random characters or
    more, so these names can't be registered in advance.
    """
    stem = " ".join(unicodedata.normalize("NFKC", wanted or "").split())
    tries = [stem[:MAX_LENGTH].rstrip(), *(f"{stem[: MAX_LENGTH - n - 1].rstrip()}-{mark[:n]}" for n in (4, 8))]
    if not stem:
        tries = []
    names = []
    for one in [*tries, f"player-{mark[:12]}", f"player-{mark[:24]}"]:
        try:
            names.append(parse_name(one))
        except LaurelsError:  # the issuer's name is not valid here
            continue
    return names


def _complaint(name: str) -> str | None:
    return next((words for breaks, words in _RULES if breaks(name)), None)


def _is_forbidden(name: str, at: int) -> bool:
    char = name[at]
    if IGNORABLE.match(char):
        return is_misplaced(name, at)
    category = unicodedata.category(char)
    return category in _FORBIDDEN_CATEGORIES or char in BLANK or (category == "Zs" and char != " ")


def _has_too_many_marks(name: str) -> bool:
    marks = stacked = 0
    for char in unicodedata.normalize("NFD", strip_ignorable(name)):
        if not is_mark(char):
            marks = stacked = 0
            continue
        marks += 1
        stacked += unicodedata.combining(char) >= _STACKING or unicodedata.category(char) == "Me"
        if marks > MAX_MARKS_IN_A_ROW or stacked > MAX_STACKED_MARKS:
            return True
    return False


_RULES: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        lambda name: len(name) > MAX_LENGTH or len(strip_ignorable(name)) < MIN_LENGTH,
        f"A username has {MIN_LENGTH} to {MAX_LENGTH} characters.",
    ),
    (
        lambda name: name != name.strip() or "  " in name,
        "A username neither starts nor ends with a space, nor has two in a row.",
    ),
    (
        lambda name: any(_is_forbidden(name, at) for at in range(len(name))),
        "A username has no control, invisible, private or unassigned characters.",
    ),
    (lambda name: is_mark(name[0]), "A username does not start with a combining mark."),
    (
        _has_too_many_marks,
        f"A username has at most {MAX_MARKS_IN_A_ROW} marks in a row, {MAX_STACKED_MARKS} of them stacked.",
    ),
    (
        lambda name: not any(unicodedata.category(char)[0] in "LNS" for char in name),
        "A username has at least one letter, digit or symbol.",
    ),
)
