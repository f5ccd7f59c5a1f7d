"""Values that a schema refuses are answered with what it takes, and no answer fails on what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.errors import LaurelsError
from laurels.domain.rules import ScoringRules, parse_rules
from laurels.domain.schema_hints import explain
from laurels.web.api.admin_boards import CreateBoard
from laurels.web.api.admin_types import CreateActionType
from laurels.web.api.admin_users import UsersQuery
from laurels.web.api.api_keys import CreateKey, RotateKey
from laurels.web.http.decode import decode_body, decode_params
from laurels.web.realtime.frames import ClientFrame


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b'{"overlap_hours": 3}', RotateKey, "Did you mean overlap_seconds? There are: overlap_seconds, reason."),
        (b'{"name": "x", "scopes": ["action:write"]}', CreateKey, "Did you mean actions:write?"),
        (b'{"slug": "A b", "name": "x"}', CreateBoard, "Expected a slug: lower-case letters"),
        (b'{"type": "subscribex"}', ClientFrame, "There are: authenticate, subscribe, unsubscribe,"),
        (b'{"type": "subscribe", "chanel": 1}', ClientFrame, "There are: type, id, channel, size, since."),
        (b'{"type": "subscribe", "channel": "x y"}', ClientFrame, "board:{slug}, activity:{slug} or me."),
        (b'{"type": "complete", "id": 1, "action": {"typ": 1}}', ClientFrame, "There are: action_type,"),
    ],
)
def test_what_the_schema_takes_is_listed(body: bytes, kind: type, said: str) -> None:
    with pytest.raises(LaurelsError) as refusal:
        decode_body(body, kind)
    assert said in refusal.value.detail


def test_a_rule_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """The same over HTTP as on the command line, also below lists and maps."""
    for rules, said in (
        ('{"multiplier": {"member": "a", "out_of_bounds": "cap"}}', "Did you mean clamp? There are: clamp, refuse."),
        ('{"multiplyer": {}}', "Did you mean multiplier?"),
        ('{"requires": [{"typ": "a"}]}', "There are: action_type, count."),
        ('{"metadata": {"stars": {"type": "float"}}}', "There are: boolean, integer, number, string."),
    ):
        with pytest.raises(LaurelsError) as over_http:
            decode_body(f'{{"name": "run", "base_score": 1, "scoring_rules": {rules}}}'.encode(), CreateActionType)
        with pytest.raises(LaurelsError) as typed:
            parse_rules(rules)
        assert said in over_http.value.detail
        assert over_http.value.detail == typed.value.detail


def test_a_parameter_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(LaurelsError, match=r"Did you mean prefix\? There are: cursor, limit, sort, prefix"):
        decode_params({"prefx": "a"}, {}, UsersQuery)
    with pytest.raises(LaurelsError, match=r"There are: name, newest, score"):
        decode_params({"sort": "old"}, {}, UsersQuery)


@given(st.text(), st.text(), st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_nothing_that_is_sent_makes_the_answer_fail(name: str, path: str, sent: object) -> None:
    for detail in (f"Object contains unknown field `{name}`", f"Invalid enum value '{name}'", "x matching regex 'y'"):
        for kind in (ScoringRules, ClientFrame):
            assert explain(detail, f"$.{path}", kind, sent).startswith(detail)


def test_an_empty_body_says_nothing_where_nothing_is_needed() -> None:
    assert decode_body(b"", RotateKey) == RotateKey()
    with pytest.raises(LaurelsError, match=r"The body is empty.*name, scopes"):
        decode_body(b"", CreateKey)
    with pytest.raises(LaurelsError, match="The frame is empty"):
        decode_body(b"", ClientFrame, "frame")  # type: ignore[arg-type]  # a union, as msgspec takes it
