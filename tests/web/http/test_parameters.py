"""Parameters of requests: remembered where that is safe, and never beyond its bound."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from laurels.domain.errors import LaurelsError
from laurels.web.api.boards import TopQuery
from laurels.web.api.routes import ROUTES
from laurels.web.http import decode

KINDS: set[type[msgspec.Struct]] = {route.params for route in ROUTES if route.params is not None}


def _asked(query: str) -> object:
    return decode.params_of(make_mocked_request("GET", f"/api/scoreboard{query}"), {}, TopQuery)


@pytest.mark.parametrize("kind", sorted(KINDS, key=str))
def test_what_is_shared_by_requests_can_not_be_changed(kind: type[msgspec.Struct]) -> None:
    """One object serves all requests with the same query: it is frozen, and so is what it holds."""
    assert kind.__struct_config__.frozen
    for field in msgspec.structs.fields(kind):
        assert "list" not in str(field.type)
        assert "dict" not in str(field.type)


def test_the_same_query_is_decoded_once() -> None:
    assert _asked("?limit=7") is _asked("?limit=7")
    assert _asked("?limit=8") != _asked("?limit=7")
    assert _asked("") == TopQuery()


def test_a_wrong_query_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(LaurelsError):
            _asked("?limit=none")
        with pytest.raises(LaurelsError):
            _asked("?limit=7&limit=8")


def test_made_up_queries_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long ones are not cached, short ones up to a bound."""
    monkeypatch.setattr(decode, "CACHED_QUERIES", 10)
    monkeypatch.setattr(decode, "_cached", {})
    for n in range(1, 51):
        _asked(f"?limit={n}")
        assert 1 <= len(decode._cached) <= 10
    before = dict(decode._cached)
    _asked("?limit=9" + "&" * decode.CACHED_LENGTH)
    assert decode._cached == before
