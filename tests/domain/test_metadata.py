"""One document has one text, however it was spelt; what the ledger can't hold is refused with its path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.actions import Submission
from laurels.domain.errors import Code, LaurelsError
from laurels.domain.metadata import METADATA_DEPTH, canonical_metadata


def text(document: str) -> str | None:
    return canonical_metadata(msgspec.json.decode(document), "$.metadata")


def fingerprint(document: str | None) -> int:
    return Submission(1, "lesson", "a", None if document is None else text(document)).fingerprint()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 5.0}', '{"a": 5}'),
        ('{"a": 5e0, "b": 50E-1}', '{"b": 5, "a": 5}'),
        ('{"a": -0.0}', '{"a": 0}'),
        ('{"a": -0}', '{"a": 0}'),
        ('{"a": [1.0, {"b": 2.0}]}', '{"a":[1,{"b":2}]}'),
        ('{"a": "\\u00e9\\/"}', '{"a": "é/"}'),
        ('{"\\u0061": null}', '{"a": null}'),
        ('{"a": 1e2}', '{"a": 100}'),
        ('{"a": 1e18}', '{"a": 1000000000000000000}'),
        ('{"a": 0.10}', '{"a": 1e-1}'),
        ("{}", None),
    ],
)
def test_spellings_of_one_document_have_one_fingerprint(one: str, other: str | None) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}'),  # one double, two integers
        ('{"a": 9223372036854775807}', '{"a": 9223372036854775806}'),
        ('{"a": 5}', '{"a": "5"}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": null}', "{}"),
        ('{"a": {}}', "{}"),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": "é"}', '{"a": "e\\u0301"}'),
    ],
)
def test_different_documents_have_different_fingerprints(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3))
def test_the_text_is_the_same_value_and_its_own_canonical_form(document: dict[str, Any]) -> None:
    sent = msgspec.json.encode(document).decode()
    kept = text(sent)
    if kept is None:
        assert document == {}
    else:
        assert msgspec.json.decode(kept) == document
        assert text(kept) == kept
        assert text(_reversed(sent)) == kept


def _reversed(document: str) -> str:
    """Members in the other order, with white space and escapes."""
    decoded = msgspec.json.decode(document)
    parts = [f' "\\u{ord(name):04x}" : {msgspec.json.encode(decoded[name]).decode()} ' for name in reversed(decoded)]
    return "{" + ",".join(parts) + "}"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"a": 2**63}, "$.metadata.a"),
        ({"a": [0, {"b": -(2**63) - 1}]}, "$.metadata.a[1].b"),
        ({"a": "x\0"}, "$.metadata.a"),
        ({"a\0": 1}, "$.metadata"),
        ({"a": "x" * 4_096}, "$.metadata"),
    ],
)
def test_what_the_ledger_can_not_hold_is_refused_with_its_path(document: dict[str, Any], path: str) -> None:
    with pytest.raises(LaurelsError) as refused:
        canonical_metadata(document, "$.metadata")
    assert (refused.value.code, refused.value.path) == (Code.INVALID_REQUEST, path)


def test_levels_are_counted() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"a": 1 if levels == 1 else nested(levels - 1)}

    assert canonical_metadata(nested(METADATA_DEPTH), "$") is not None
    with pytest.raises(LaurelsError):
        canonical_metadata(nested(METADATA_DEPTH + 1), "$")
