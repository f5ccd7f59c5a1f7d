"""Which usernames are allowed, and which are taken for the same."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.errors import Code, LaurelsError
from laurels.domain.invisible import IGNORABLE, strip_ignorable
from laurels.domain.names import fold_name, parse_name, similar_keys

ZWNJ, ZWJ = "\u200c", "\u200d"
STRICT = [
    ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
    ("scope", "\u0455\u0441\u043e\u0440\u0435"),
    ("Ivan", "\u0406van"),  # Ukrainian I
    ("AHHA", "\u0410\u041d\u041d\u0410"),
    ("google", "\u0261oogle"),  # a phonetic letter
    ("Ada", "\u0391da"),  # Greek
    ("ivan", "i\u0307van"),  # a dot on the dot
    ("O'Brien", "O\u2019Brien"),
    ("heart \u2764", "heart \u2764\ufe0f"),
    ("\u0915\u094d\u0937\u0924", "\u0915\u094d" + ZWJ + "\u0937\u0924"),
]
"""Across scripts, or by what is invisible: of each pair only one may exist."""
SIMILAR = [
    ("Arno", "Amo"),
    ("Team 11", "Team II"),
    ("alice", "a1ice"),
    ("alice", "aIice"),
    ("Goog1e", "Google"),
    ("modern", "rnodern"),
    ("admin", "ADMlN"),
    ("admin", "adm1n"),
    ("admin", "\u00e1dm\u0131n"),
    ("O0O0", "OOOO"),
    ("root", "r0Ot"),
]
"""Within a script: honest people have such names, and no operator's is copied so."""
REFUSED = [
    "ab", "a" * 33, " ada", "ada ", "a  b", "ad\u202ea", "ad\u200ba", "ad\x00a", "ad\na", "ad\u0007a",
    "ad\ue000a", "a\u0301\u0302\u0303da", "\u3164\u3164\u3164", "...", "\ufeffada", "ad\U000e0041a",
    "ad\u034fa", "ad\ufe0fa", "ad" + ZWJ + "a", "ad" + ZWNJ + "a", "ad\u00ada", "\u17b4\u17b5ada", "ad\u180ba",
    "a\u0488\u0488\u0488da",  # enclosing
    "a\u0903\u0903\u0903\u0903\u0903da",  # spacing
    "\u0e14" + "\u0e49" * 6 + "\u0e14\u0e14",  # Thai tone marks
    "\u0301ada", "ada\u2800\u2800", "ad\U000e0100a", "ada\U0001d159",
    "\u0639\u0644\u06cc" + ZWNJ,  # at the end it breaks no join
    "\u0639\u0627" + ZWNJ + "\u0639\u0644",  # alef does not join
    "\u0639\u0644" + ZWNJ + ZWNJ + "\u06cc\u0639",
    "\u0928\u092e" + ZWJ + "\u0938\u094d\u0924\u0947",  # no virama before it
    "\u0915\u094d" + ZWJ + "\u093f\u0915",  # a dependent vowel after it
    "\U0001f469" + ZWJ + "ada", "ada" + ZWJ + "\U0001f469",
]  # fmt: skip
HONEST = {
    "plain": ["ada", "O'Brien", "x" * 32, "-_-3", "<b onload=x>"],
    "Latin": ["Zoë", "Łukasz", "Þórdís", "Søren", "Ɔdɔ Ɛsi"],
    "Turkish": ["Iş\u0131l", "İbrahim", "Çağr\u0131 Ünlü"],
    "Vietnamese": ["Nguyễn Thế Hiển", unicodedata.normalize("NFD", "Trần Thị Ngọc Ẩn")],
    "Cyrillic": ["Владимир", "Ћирило", "Ґалаґан Їжак"],
    "Greek": ["Ἀλέξανδρος", "Γιάννης"],
    "Hebrew": ["מרים כהן", "שָׁלוֹם", "שִׁמּוֹן"],
    "Arabic": ["محمد علي", "مُحَمَّد", "عبدالله"],
    "Persian": ["علی" + ZWNJ + "رضا", "می" + ZWNJ + "خواهم", "نیلوفر"],
    "Hindi": ["नमस्ते दुनिया", "ज़िंदगी", "क्" + ZWJ + "षत्रिय", "क्" + ZWNJ + "षत्रिय"],
    "Sinhala": ["ශ්" + ZWJ + "රී ලංකා"],
    "other Indic": ["தமிழ்", "മലയാളം", "ক্ষ্যাপা", "ಕನ್ನಡ", "ગુજરાતી"],
    "Thai": ["น้ำใจ", "ก็ได้", "สวัสดี"],
    "Burmese": ["မြွှေလေး", "ကြောင့်"],
    "Khmer": ["ស្រីពេជ្រ"],
    "Tibetan": ["བསྒྲུབས"],
    "Mongolian": ["ᠮᠣᠩᠭᠣᠯ\u180b"],
    "Han": ["李小龙吗", "葛\U000e0100城太"],
    "Japanese": ["ひらがな", "カタカナ", "ニコニコ二郎"],
    "Korean": ["한국어", "김철수"],
    "Georgian, Armenian, Amharic": ["ქართული", "Հայկ", "አማርኛ"],
    "emoji": ["🦊 fox", "🏆🏆🏆", "❤️ Ada", "👩" + ZWJ + "🚀 Ada", "🏳️" + ZWJ + "🌈 Ada", "👋🏽 Ada", "1️⃣2️⃣3️⃣"],
}
SAME_SCRIPT = [
    ["Arno", "Amo"], ["Team 11", "Team II", "Team ll"], ["Iş\u0131l", "Isil"], ["عایشه", "عايشة"], ["ニコ", "二コ"],
    ["Lena", "Léna"], ["карл", "каррл"],
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), STRICT)
def test_names_that_look_alike_across_scripts_share_a_skeleton(one: str, other: str) -> None:
    assert parse_name(one).skeleton == parse_name(other).skeleton


@pytest.mark.parametrize(("one", "other"), SIMILAR)
def test_names_that_are_similar_within_a_script_share_that_key_alone(one: str, other: str) -> None:
    assert parse_name(one).skeleton != parse_name(other).skeleton
    assert parse_name(one).similar == parse_name(other).similar
    assert parse_name(other).similar in similar_keys([one])


@pytest.mark.parametrize("drawn", ["ᴀᴅᴍɪɴ", "ᴀdmin", "aᴅᴍin", "admin\u20dd", "ad\u20demin", "admin\u20e3"])
def test_small_capitals_and_enclosing_marks_pass_no_one_for_an_operator(drawn: str) -> None:
    assert parse_name(drawn).similar == parse_name("admin").similar


@pytest.mark.parametrize(("one", "other"), STRICT)
def test_what_looks_alike_across_scripts_is_similar_too(one: str, other: str) -> None:
    """A user who can't register such a name can't come close to an operator with it either."""
    assert parse_name(one).similar == parse_name(other).similar


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_names_that_hide_something_are_refused(name: str) -> None:
    with pytest.raises(LaurelsError) as refused:
        parse_name(name)
    assert refused.value.code is Code.USERNAME_INVALID


@pytest.mark.parametrize("name", [name for names in HONEST.values() for name in names])
def test_people_keep_their_names(name: str) -> None:
    assert parse_name(name).display == unicodedata.normalize("NFKC", name)


def test_honest_names_are_no_look_alikes_of_each_other() -> None:
    """Neither those of the corpus, nor those that are merely similar."""
    names = [name for names in HONEST.values() for name in names if name != HONEST["Hindi"][3]]
    for some in ([*names], *SAME_SCRIPT):
        parsed = [parse_name(name.ljust(3, ".")) for name in some]
        assert len({name.skeleton for name in parsed}) == len({name.fold for name in parsed}) == len(some), some


@given(st.text(max_size=40))
def test_a_name_is_normalised_or_refused_and_never_breaks(raw: str) -> None:
    """An accepted name is stable: parsed again it is the same, with the same keys."""
    try:
        name = parse_name(raw)
    except LaurelsError:
        return
    assert parse_name(name.display) == name
    assert fold_name(name.display) == name.fold == fold_name(name.fold)


_INVISIBLE = [char for char in map(chr, range(0x110000)) if IGNORABLE.match(char)]


@given(
    st.text(min_size=3, max_size=12), st.lists(st.tuples(st.integers(0, 12), st.sampled_from(_INVISIBLE)), max_size=6)
)
def test_what_draws_nothing_makes_no_other_name(name: str, hidden: list[tuple[int, str]]) -> None:
    """Whether it is refused or accepted where it stands: no key sees it."""
    disguised = name
    for at, char in hidden:
        disguised = disguised[:at] + char + disguised[at:]
    assert fold_name(strip_ignorable(disguised)) == fold_name(disguised)
    try:
        one, other = parse_name(strip_ignorable(disguised)), parse_name(disguised)
    except LaurelsError:
        return
    assert (one.fold, one.skeleton, one.similar) == (other.fold, other.skeleton, other.similar)


@given(st.text(alphabet="abcdefghijkmnopqrstuvwxyz", min_size=3, max_size=10))
def test_case_makes_no_other_name(name: str) -> None:
    assert parse_name(name).fold == parse_name(name.upper()).fold


@given(st.text(alphabet="\u0301\u0903\u0488\u0e49\u0591a", min_size=3, max_size=20))
def test_no_pile_of_marks_is_a_name(name: str) -> None:
    """Of any mixed categories: four in a row at most."""
    try:
        display = parse_name(name).display
    except LaurelsError:
        return
    runs = [
        len(list(run))
        for marks, run in itertools.groupby(display, lambda char: unicodedata.category(char)[0] == "M")
        if marks
    ]
    assert max(runs, default=0) <= 4
