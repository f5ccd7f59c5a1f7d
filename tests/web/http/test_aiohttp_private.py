"""The private names of aiohttp that the server rests on: an upgrade that removes one fails here first."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.test_utils import make_mocked_request
from aiohttp.web_request import BaseRequest

import laurels.web
from laurels.web.http import aiohttp_private
from laurels.web.http.connection import HttpConnection
from laurels.web.http.responses import ReadyResponse
from laurels.web.http.server import Runner, _Server
from laurels.web.http.takeover import UpgradedResponse

FENCE = Path(aiohttp_private.__file__)


@pytest.fixture
async def connection() -> web.RequestHandler:
    server = web.Server(lambda _: web.Response())  # type: ignore[arg-type, return-value]
    return server()


@pytest.mark.parametrize("name", aiohttp_private.CONNECTION_NAMES)
def test_a_connection_has(connection: web.RequestHandler, name: str) -> None:
    getattr(connection, name)


@pytest.mark.parametrize("name", aiohttp_private.RESPONSE_NAMES)
def test_a_response_has(name: str) -> None:
    getattr(web.StreamResponse(), name)


@pytest.mark.parametrize("name", aiohttp_private.REQUEST_NAMES)
def test_a_request_has(name: str) -> None:
    getattr(make_mocked_request("GET", "/"), name)


@pytest.mark.parametrize("name", aiohttp_private.SERVER_NAMES)
async def test_a_server_has(name: str) -> None:
    getattr(web.Server(lambda _: web.Response()), name)  # type: ignore[arg-type, return-value]


def test_a_writer_counts_what_it_sent() -> None:
    assert "output_size" in AbstractStreamWriter.__annotations__ or hasattr(AbstractStreamWriter, "output_size")


def test_a_runner_makes_its_server_in_an_overridable_method() -> None:
    assert inspect.iscoroutinefunction(web.AppRunner._make_server)  # what ServerRunner overrides


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (web.RequestHandler.handle_error, ["self", "request", "status", "exc", "message"]),
        (web.RequestHandler.finish_response, ["self", "request", "resp", "start_time"]),
        (web.StreamResponse.prepare, ["self", "request"]),
        (web.StreamResponse.write_eof, ["self", "data"]),
    ],
)
def test_methods_that_are_overridden_take(method: object, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters  # type: ignore[arg-type]


def test_a_request_is_what_a_connection_holds() -> None:
    assert issubclass(web.Request, BaseRequest)


def test_every_name_that_is_used_is_named_here() -> None:
    """Private attributes in the fence are those of its lists, so the tests above see each."""
    named = {
        *aiohttp_private.CONNECTION_NAMES,
        *aiohttp_private.RESPONSE_NAMES,
        *aiohttp_private.SERVER_NAMES,
        "_make_server",
    }
    assert _private_attributes(FENCE) <= named


def test_no_other_module_of_the_web_uses_a_private_name_of_an_object_not_its_own() -> None:
    """Objects of aiohttp reach modules outside web.http as arguments; private access there would be `x._name`."""
    for path in Path(laurels.web.__file__).parent.rglob("*.py"):
        if path == FENCE:
            continue
        foreign = _private_attributes(path, of_self=False)
        assert not foreign, f"{path}: {foreign}"


@pytest.mark.parametrize("kind", [HttpConnection, ReadyResponse, UpgradedResponse, Runner, _Server])
def test_subclasses_outside_the_fence_use_no_private_name_that_they_inherit(kind: type) -> None:
    """Nor do they define one that aiohttp uses already."""
    used = _attributes_of_self(kind)
    for base in kind.__mro__[1:]:
        if base.__module__.startswith("aiohttp.") or base.__module__ == aiohttp_private.__name__:
            assert not used & _attributes_of_self(base), base


def _attributes_of_self(kind: type) -> set[str]:
    source = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    return _private(source)


def _private_attributes(path: Path, *, of_self: bool = True) -> set[str]:
    return _private(ast.parse(path.read_text()), of_self=of_self)


def _private(tree: ast.AST, *, of_self: bool = True) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and (of_self or not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "zlib")))
    }
