"""A handler is handed the contexts that it names, and the call; a context that is missing is found at start."""

from __future__ import annotations

from typing import Any, cast

import pytest

from laurels.web.http.responses import Reply
from laurels.web.pipeline.binding import bind
from laurels.web.pipeline.call import Call


class Kitchen:
    """A context."""


class Garden:
    """Another one."""


async def cook(kitchen: Kitchen, garden: Garden, call: Call) -> Reply:
    return Reply(repr([type(kitchen).__name__, type(garden).__name__, call]).encode())


async def wait(call: Call) -> Reply:
    return Reply(repr(call).encode())


async def test_a_handler_gets_what_it_names_in_any_order_of_the_contexts() -> None:
    call: Any = "the call"
    for contexts in ([Kitchen(), Garden()], [Garden(), object(), Kitchen()]):
        reply = cast("Reply", await bind(cook, contexts)(call))
        assert reply.body == b"['Kitchen', 'Garden', 'the call']"


def test_a_handler_without_contexts_is_called_directly() -> None:
    assert bind(wait, [Kitchen()]) is wait


def test_a_missing_context_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match="cook asks for Garden"):
        bind(cook, [Kitchen()])
