"""Tells pure tests, which start no program, from those that need servers or browsers.

A test is pure if neither it, nor a fixture, function or class of the tests that it uses, mentions a way to start a
program. `make test-fast` runs the pure tests; `forbid_programs` fails one that was judged wrongly.
"""

from __future__ import annotations

import asyncio
import functools
import subprocess
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from laurels.ledger.embedded.server import EmbeddedPostgres

STARTERS = {"subprocess", "multiprocessing", EmbeddedPostgres.__name__}
STARTING_CALLS = {"create_subprocess_exec", "create_subprocess_shell", "sync_playwright", "async_playwright"}


def is_pure(item: pytest.Item) -> bool:
    """Return whether a test runs without any other program."""
    fixtures = [one for known in item._fixtureinfo.name2fixturedefs.values() for one in known]  # type: ignore[attr-defined]
    used = (getattr(item, "obj", None), getattr(item, "cls", None), *(fixture.func for fixture in fixtures))
    return not any(_starts_programs(one) for one in used)


def _starts_programs(thing: Any) -> bool:
    if isinstance(thing, ModuleType):
        return thing.__name__ in STARTERS
    if isinstance(thing, type):
        return thing.__name__ in STARTERS or (_is_of_tests(thing) and _class_starts_programs(thing))
    function = _function_of(thing)
    return function not in (None, forbid_programs) and _is_of_tests(function) and _function_starts_programs(function)


def _is_of_tests(thing: Any) -> bool:
    return str(thing.__module__).startswith(("tests.", "deploy."))


@functools.cache
def _class_starts_programs(kind: type) -> bool:
    return any(
        _starts_programs(member) for base in kind.__mro__ if _is_of_tests(base) for member in vars(base).values()
    )


def _function_of(thing: Any) -> FunctionType | None:
    """Return the function under decorators, bound methods, properties and Hypothesis' @given."""
    thing = getattr(thing, "fget", None) or getattr(thing, "func", None) or thing
    thing = getattr(thing, "__func__", thing)
    if (given := getattr(thing, "hypothesis", None)) is not None:
        thing = given.inner_test
    while (inner := getattr(thing, "__wrapped__", None)) is not None:
        thing = inner
    return thing if isinstance(thing, FunctionType) else None


_judged: dict[FunctionType, bool] = {}


def _function_starts_programs(function: FunctionType) -> bool:
    if function not in _judged:
        _judged[function] = False  # while it is being looked at: functions may call each other
        names = set(_names(function.__code__))
        enclosed = (cell.cell_contents for cell in function.__closure__ or () if cell.cell_contents is not function)
        used = [function.__globals__[name] for name in names if name in function.__globals__]
        _judged[function] = bool(names & STARTING_CALLS) or any(_starts_programs(one) for one in (*used, *enclosed))
    return _judged[function]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def forbid_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when it starts a program."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("A pure test starts a program: tests/support/purity.py did not see it.")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    monkeypatch.setattr(asyncio, "create_subprocess_shell", refuse)
