"""Properties of characters that Unicode defines and `unicodedata` lacks.

Default-ignorable code points draw nothing (Unicode 14, DerivedCoreProperties.txt). Joining types say which letters of
cursive scripts connect (ArabicShaping.txt): only between such letters does a zero-width non-joiner change the look.
"""

from __future__ import annotations

import re
import unicodedata

ZWNJ, ZWJ = "\u200c", "\u200d"
VIRAMA = 9
"""The combining class of signs that join consonants."""
_EMOJI_SELECTORS = "\ufe0e\ufe0f"

IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point."""
BLANK = frozenset("\u2800\U00013441\U00013442\U00016fe4\U0001d159")
"""Letters, marks and symbols that draw nothing although Unicode does not call them ignorable."""

# Joining_Type L or D: connects to the letter after it.
_JOINS_ONWARD = (
    "A872 10ACD 10AD7 10D00 10ED9-10EEE 10FCB 620 626 628 62A-62E 633-63F 641-647 649-64A 66E-66F 678-687 "
    "69A-6BF 6C1-6C2 6CC 6CE 6D0-6D1 6FA-6FC 6FF 712-714 71A-71D 71F-727 729 72B 72D-72E 74E-758 75C-76A "
    "76D-770 772 775-777 77A-77F 7CA-7EA 841-845 848 84A-853 855 860 862-865 868 886 889-88D 88F 8A0-8A9 "
    "8AF-8B0 8B3-8B8 8BA-8C8 1807 1820-1878 1887-18A8 18AA A840-A871 10AC0-10AC4 10AD3-10AD6 10AD8-10ADC "
    "10ADE-10AE0 10AEB-10AEE 10B80 10B82 10B86-10B88 10B8A-10B8B 10B8D 10B90 10BAD-10BAE 10D01-10D21 10D23 "
    "10EC3-10EC4 10EC6-10EC7 10F30-10F32 10F34-10F44 10F51-10F53 10F70-10F73 10F76-10F81 10FB0 10FB2-10FB3 "
    "10FB8 10FBB-10FBC 10FBE-10FBF 10FC1 10FC4 10FCA 1E900-1E943 "
)
# Joining_Type R, beside D: connects to the letter before it.
_JOINS_BACK = (
    "622-625 627 629 62F-632 648 671-673 675-677 688-699 6C0 6C3-6CB 6CD 6CF 6D2-6D3 6D5 6EE-6EF 710 715-719 "
    "71E 728 72A 72C 72F 74D 759-75B 76B-76C 771 773-774 778-779 840 846-847 849 854 856-858 867 869-86A "
    "870-882 88E 8AA-8AC 8AE 8B1-8B2 8B9 10AC5 10AC7 10AC9-10ACA 10ACE-10AD2 10ADD 10AE1 10AE4 10AEF 10B81 "
    "10B83-10B85 10B89 10B8C 10B8E-10B8F 10B91 10BA9-10BAC 10D22 10EC2 10F33 10F54 10F74-10F75 10FB4-10FB6 "
    "10FB9-10FBA 10FBD 10FC2-10FC3 10FC9 "
)


def strip_ignorable(text: str) -> str:
    """Return the text without code points that draw nothing."""
    return text if text.isascii() else IGNORABLE.sub("", text)


def is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


def is_misplaced(text: str, at: int) -> bool:
    """Return whether a default-ignorable code point is where it changes nothing visible.

    Zero-width joiners belong in the contexts A1, A2 and B of UAX 31 and between emoji, a variation selector after the
    character whose variant it selects: a symbol, a Han character, a Mongolian letter.
    """
    char, before, after = text[at], text[:at], text[at + 1 :]
    if char == ZWNJ:
        return not (_in_conjunct(before, after) or _breaks_a_join(before, after))
    if char == ZWJ:
        return not (_requests_conjunct(before, after) or _joins_emoji(before, after))
    if char in _EMOJI_SELECTORS:
        return not before or not (unicodedata.category(before[-1])[0] == "S" or before[-1] in "0123456789#*")
    if "\U000e0100" <= char <= "\U000e01ef":
        return not unicodedata.name(before[-1:] or "a", "").startswith("CJK ")
    if "\u180b" <= char <= "\u180d" or char == "\u180f":
        return not unicodedata.name(before[-1:] or "a", "").startswith("MONGOLIAN LETTER")
    return True


def _breaks_a_join(before: str, after: str) -> bool:
    """Return whether this is context A1: between two letters that would connect, ignoring marks."""
    left = next((char for char in reversed(before) if not is_mark(char)), "")
    right = next((char for char in after if not is_mark(char)), "")
    return left in _ONWARD and (right in _ONWARD_AND_BACK or right in _BACK)


def _in_conjunct(before: str, after: str) -> bool:
    """Return whether this is context A2: after a letter and a virama, before another letter."""
    following = next((char for char in after if not is_mark(char)), "")
    return _ends_with_virama(before) and _is_letter(following)


def _requests_conjunct(before: str, after: str) -> bool:
    """Return whether this is context B: after a letter and a virama, not before a dependent vowel."""
    return _ends_with_virama(before) and "VOWEL SIGN" not in unicodedata.name(after[:1] or "a", "")


def _ends_with_virama(before: str) -> bool:
    marks = len(before)
    while marks and is_mark(before[marks - 1]):
        marks -= 1
    run = before[marks:]
    return any(unicodedata.combining(char) == VIRAMA for char in run) and _is_letter(before[marks - 1 : marks])


def _joins_emoji(before: str, after: str) -> bool:
    left = before.rstrip(_EMOJI_SELECTORS)[-1:]
    return _is_symbol(left) and _is_symbol(after[:1])


def _is_symbol(char: str) -> bool:
    """Return whether this is an emoji (So) or a skin tone (Sk)."""
    return bool(char) and unicodedata.category(char) in ("So", "Sk") and not char.isascii()


def _is_letter(char: str) -> bool:
    return bool(char) and unicodedata.category(char)[0] == "L"


def _members(ranges: str) -> frozenset[str]:
    bounds = (item.partition("-") for item in ranges.split())
    return frozenset(chr(n) for first, _, last in bounds for n in range(int(first, 16), int(last or first, 16) + 1))


_ONWARD = _members(_JOINS_ONWARD)
_ONWARD_AND_BACK = _ONWARD - _members("A872 10ACD 10AD7 10D00 10ED9-10EEE 10FCB")
_BACK = _members(_JOINS_BACK)
