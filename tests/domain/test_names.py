"""Which usernames are allowed, and which are taken for the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.errors import Code, LaurelsError
from laurels.domain.names import parse_name, skeleton

LOOKALIKES = [
    ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
    ("alice", "a1ice"),
    ("alice", "aIice"),
    ("Goog1e", "Google"),
    ("modern", "rnodern"),
    ("scope", "\u0455\u0441\u043e\u0440\u0435"),
]
REFUSED = [
    "ab", "a" * 33, " ada", "ada ", "a  b", "ad\u202ea", "ad\u200ba", "ad\x00a", "ad\na", "ad\u0007a",
    "ad\ue000a", "a\u0301\u0302\u0303da", "\u3164\u3164\u3164", "...", "\ufeffada", "ad\U000e0041a",
]  # fmt: skip
ALLOWED = ["ada", "O'Brien", "Zoë", "Владимир", "李小龙吗", "מרים כהן", "🦊 fox", "<b onload=x>", "x" * 32, "-_-3"]


@pytest.mark.parametrize(("one", "other"), LOOKALIKES)
def test_names_that_look_alike_share_a_skeleton(one: str, other: str) -> None:
    assert parse_name(one).skeleton == parse_name(other).skeleton


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_hide_something_are_refused(name: str) -> None:
    with pytest.raises(LaurelsError) as refused:
        parse_name(name)
    assert refused.value.code is Code.USERNAME_INVALID


@pytest.mark.parametrize("name", ALLOWED)
def test_people_keep_their_names(name: str) -> None:
    assert parse_name(name).display == unicodedata.normalize("NFKC", name)


@given(st.text(max_size=40))
def test_a_name_is_normalised_or_refused_and_never_breaks(raw: str) -> None:
    """An accepted name is stable: parsed again it is the same, with the same keys."""
    try:
        name = parse_name(raw)
    except LaurelsError:
        return
    assert parse_name(name.display) == name


@given(st.text(alphabet="abcdefghijkmnopqrstuvwxyz", min_size=3, max_size=10))
def test_case_makes_no_other_name(name: str) -> None:
    assert parse_name(name).fold == parse_name(name.upper()).fold


def test_different_plain_names_stay_different() -> None:
    assert len({skeleton(name) for name in ["ada", "eve", "bob", "mallory", "trent", "grace"]}) == 6
