"""Keys that are equal for texts that look alike, by the table of Unicode Technical Standard 39.

The table is that of `confusable_homoglyphs`. There are two keys:

strict_key   across scripts, or by what is invisible: "paypal" in Latin and in Cyrillic letters. It is unique
similar_key  also within a script: `rn` and `m`, `l`, `I`, `i` and `1`, with and without accents. Honest names are
             similar ("Arno" and "Amo", "Team 11" and "Team II"): it is compared with privileged names alone
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from .invisible import strip_ignorable

_ACCENTS, _POINTS = 200, range(10, 36)
"""Combining classes."""
_AT_A_GLANCE = str.maketrans({"i": "l", "1": "l", "0": "o"})
"""Characters that the table distinguishes only by case."""
_SMALL_CAPITAL = "LATIN LETTER SMALL CAPITAL "
_DOT_ABOVE = "\u0307"
_ONE_SCRIPT = dict.fromkeys(("HAN", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL"), "CJK")
"""Scripts that are written together: UTS 39 treats them as one."""
_PHONETIC = ((0x0250, 0x02AF), (0x1D00, 0x1DBF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xAB30, 0xAB6F))
"""Latin letters of phonetic notation, many of which look exactly like one of the alphabet."""


def strict_key(text: str) -> str:
    """Return the same key for texts that look alike across scripts or differ in what is invisible."""
    prototypes = _strict_prototypes()
    bare = unicodedata.normalize("NFD", strip_ignorable(text))
    mapped = "".join(prototypes.get(char, char) for char in _without_drawn_dots(bare))
    return unicodedata.normalize("NFD", mapped).casefold()


def similar_key(text: str) -> str:
    """Return the same key for texts that look alike at a glance, also within one script."""
    prototypes, text = _prototypes(), text.translate(_small_capitals())
    for _ in range(2):  # capitals look like other letters than lower case does: map as typed, then folded
        bare = unicodedata.normalize("NFD", strip_ignorable(text))
        text = "".join(prototypes.get(char, char) for char in bare if not _is_accent(char)).casefold()
    return text.translate(_AT_A_GLANCE)


def _is_accent(char: str) -> bool:
    """Return whether a letter is also read without this mark: an accent, or a point of Hebrew or Arabic."""
    place = unicodedata.combining(char)
    return place >= _ACCENTS or place in _POINTS or unicodedata.category(char) == "Me"


@cache
def _small_capitals() -> dict[int, str]:
    """Map the letters of phonetic notation that are drawn as small capitals."""
    codes = (code for first, last in _PHONETIC for code in range(first, last + 1))
    names = {code: unicodedata.name(chr(code), "") for code in codes}
    letters = {code: name.removeprefix(_SMALL_CAPITAL) for code, name in names.items() if _SMALL_CAPITAL in name}
    return {code: letter.lower() for code, letter in letters.items() if len(letter) == 1}


def _without_drawn_dots(text: str) -> str:
    """A dot above `i` or `j` is drawn already."""
    for letter in "ij":
        text = text.replace(letter + _DOT_ABOVE, letter)
    return text


@cache
def _prototypes() -> dict[str, str]:
    """Character -> representative of its class of look-alikes.

    Built at first use: about 9,600 entries, some tens of milliseconds.
    """
    found = {}
    for members in _classes():
        representative = min(members, key=_representative_order)
        found.update({char: representative for char in members if len(char) == 1})
    return found


@cache
def _strict_prototypes() -> dict[str, str]:
    """Character -> the character of another script that it looks like; ordinary Latin letters stay what they are."""
    found = {}
    for members in _classes():
        for char in members:
            if len(char) == 1 and not char.isascii() and (other := _other_script(char, members)) is not None:
                found[char] = other
    return found


def _other_script(char: str, members: Iterable[str]) -> str | None:
    script = _script(char)
    if script == "LATIN":
        return None
    latin = [one for one in members if one.isascii()]
    if latin:
        return min(latin, key=lambda one: (len(one), _kind(one) != _kind(char), _kind(one) != "lower", one))
    representative = min(members, key=_representative_order)
    return None if len(representative) == 1 and _script(representative) == script else representative


def _kind(char: str) -> str:
    """Return the kind of a character: it decides which of `I`, `l` and `1` one of another script looks like."""
    category = unicodedata.category(char[0])
    if category[0] == "L":
        return "upper" if category == "Lu" else "lower"
    return "digit" if category[0] == "N" else "sign"


def _script(char: str) -> str:
    from confusable_homoglyphs.categories import alias

    if any(first <= ord(char) <= last for first, last in _PHONETIC):
        return "PHONETIC"
    script: str = alias(char)
    return _ONE_SCRIPT.get(script, script)


@cache
def _classes() -> list[list[str]]:
    """The table's pairs, joined to classes (union-find)."""
    from confusable_homoglyphs.confusables import confusables_data

    parent: dict[str, str] = {}

    def find(item: str) -> str:
        while (above := parent.setdefault(item, item)) != item:
            item = above
        return item

    for char, twins in confusables_data.items():
        for twin in twins:
            one, other = find(_bare(char)), find(_bare(twin["c"]))
            parent[max(one, other, key=_representative_order)] = min(one, other, key=_representative_order)
    classes = defaultdict(list)
    for item in parent:
        classes[find(item)].append(item)
    return list(classes.values())


def _bare(text: str) -> str:
    # The table wraps right-to-left twins in direction marks.
    return text.replace("\u200e", "")


def _representative_order(text: str) -> tuple[bool, int, str]:
    """ASCII first; of those the longest, because only single characters are mapped: m becomes rn."""
    return (not text.isascii(), -len(text), text)
