"""Which usernames are allowed, and which of them look alike.

A name is kept as the user typed it (NFKC-normalised) beside two keys, each unique in the ledger:
the *fold* (case-insensitive) and the *skeleton* of Unicode Technical Standard 39, under which
"paypal" spelt in Latin and in Cyrillic letters is the same string. The confusables table is that of the Unicode
consortium as shipped by `confusable_homoglyphs`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cache

from .errors import Code, LaurelsError

MIN_LENGTH = 3
MAX_LENGTH = 32
MAX_MARKS_IN_A_ROW = 2

# Cc control, Cf format (bidi overrides, zero-width), Cs surrogate, Co private, Cn unassigned, Zl/Zp separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


@dataclass(frozen=True, slots=True)
class Name:
    """A valid username with its two uniqueness keys."""

    display: str
    fold: str
    skeleton: str


def parse_name(raw: str) -> Name:
    """Normalise `raw` to NFKC and check it.

    Raises LaurelsError(USERNAME_INVALID) with a sentence that says which rule it breaks.
    """
    display = unicodedata.normalize("NFKC", raw)
    complaint = _complaint(display)
    if complaint:
        raise LaurelsError(Code.USERNAME_INVALID, complaint, path="$.username")
    return Name(display, fold_name(display), skeleton(display))


def fold_name(name: str) -> str:
    """The key under which a name is unique, whatever its case and however it was typed; of invalid names, too."""
    return unicodedata.normalize("NFKC", name).casefold()


def outside_names(wanted: str | None, identity: str) -> list[Name]:
    """Names to try for somebody who logs in elsewhere, best first; they never take what is taken.

    As wanted; with a mark of 4 or 8 characters that belongs to `identity` alone; `player-` and a long mark.
    """
    mark = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    stem = " ".join(unicodedata.normalize("NFKC", wanted or "").split())
    tries = [stem[:MAX_LENGTH].rstrip(), *(f"{stem[: MAX_LENGTH - n - 1].rstrip()}-{mark[:n]}" for n in (4, 8))]
    if not stem:
        tries = []
    names = []
    for one in [*tries, f"player-{mark[:12]}", f"player-{mark[:24]}"]:
        try:
            names.append(parse_name(one))
        except LaurelsError:  # what the issuer calls them is no name here
            continue
    return names


def skeleton(name: str) -> str:
    """The look-alike key of a normalised name: equal skeletons are confusable at a glance."""
    prototypes = _prototypes()
    decomposed = unicodedata.normalize("NFD", name)
    mapped = "".join(prototypes.get(char, char) for char in decomposed)
    return unicodedata.normalize("NFD", mapped).casefold()


def _complaint(name: str) -> str | None:
    if not MIN_LENGTH <= len(name) <= MAX_LENGTH:
        return f"A username has {MIN_LENGTH} to {MAX_LENGTH} characters."
    if name != name.strip() or "  " in name:
        return "A username neither starts nor ends with a space, nor has two in a row."
    if any(_is_forbidden(char) for char in name):
        return "A username has no control, invisible, private or unassigned characters."
    if _longest_mark_run(name) > MAX_MARKS_IN_A_ROW:
        return f"A username has at most {MAX_MARKS_IN_A_ROW} combining marks in a row."
    if not any(unicodedata.category(char)[0] in "LNS" for char in name):
        return "A username has at least one letter, digit or symbol."
    return None


def _is_forbidden(char: str) -> bool:
    return (
        unicodedata.category(char) in _FORBIDDEN_CATEGORIES
        or char in _BLANK_LETTERS
        or (unicodedata.category(char) == "Zs" and char != " ")
    )


def _longest_mark_run(name: str) -> int:
    longest = run = 0
    for char in unicodedata.normalize("NFD", name):
        run = run + 1 if unicodedata.combining(char) else 0
        longest = max(longest, run)
    return longest


@cache
def _prototypes() -> dict[str, str]:
    """Character -> representative of its confusable class (union-find over the shipped table).

    Built at first use: about 9,600 entries, some tens of milliseconds.
    """
    from confusable_homoglyphs.confusables import confusables_data

    parent: dict[str, str] = {}

    def find(item: str) -> str:
        while (above := parent.setdefault(item, item)) != item:
            item = above
        return item

    for char, twins in confusables_data.items():
        for twin in twins:
            a, b = find(_bare(char)), find(_bare(twin["c"]))
            if a != b:
                keep, drop = sorted((a, b), key=_representative_order)
                parent[drop] = keep
    return {char: find(char) for char in parent if len(char) == 1}


def _bare(text: str) -> str:
    # The table wraps right-to-left twins in direction marks.
    return text.replace("\u200e", "")


def _representative_order(text: str) -> tuple[int, int, str]:
    """ASCII first; of those the longest, because only single characters are mapped: m becomes rn."""
    return (not text.isascii(), -len(text), text)
