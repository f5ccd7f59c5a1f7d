"""A handler that fails is answered while a reply is possible, without telling the cause."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.support.node import InProcessNode
from tests.support.raw_http import connected, exchange, request

from laurels.app.context import ActionContext
from laurels.domain.errors import Code, LaurelsError
from laurels.node import Node
from laurels.web.api.routes import ROUTES
from laurels.web.http.server import Runner
from laurels.web.pipeline.call import Call
from laurels.web.pipeline.route import Route
from laurels.web.pipeline.routing import application


async def breaks(_: Call) -> Any:
    raise RuntimeError("the secret of /etc/passwd")


async def times_out(_: Call) -> Any:
    raise TimeoutError


async def loses_the_ledger(_: Call) -> Any:
    raise ConnectionResetError("by postgres")


async def fails_after_the_start(call: Call) -> Any:
    response = web.StreamResponse()
    await response.prepare(call.request)
    await response.write(b"half")
    raise LaurelsError(Code.DATABASE_UNAVAILABLE, "Too late.")


def route(handler: Any) -> Route:
    return Route(method="GET", path=f"/{handler.__name__}", handler=handler, tag="", summary="")


@contextlib.asynccontextmanager
async def serving(node: Node, routes: tuple[Route, ...]) -> AsyncIterator[str]:
    """The address of a second server over a node's parts."""
    runner = Runner(*application(routes, node.parts.pipeline, node.contexts), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("handler", [breaks, times_out, loses_the_ledger])
async def test_an_unexpected_failure_is_answered_without_its_cause(
    node: InProcessNode, handler: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """500 internal with a request id that is in the log, beside the traceback, and nowhere else."""
    async with serving(node.parts, (route(handler),)) as url:
        reply = await exchange(url, request("GET", f"/{handler.__name__}"))
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    problem = reply.json()
    assert problem["code"] == "internal"
    assert b"secret" not in reply.body
    logged = capsys.readouterr().out
    assert "unexpected failure" in logged
    assert problem["request_id"] in logged


async def test_a_reply_that_has_begun_is_cut_off(node: InProcessNode) -> None:
    """No second reply is written into the first: its reader sees that it is not whole."""
    async with serving(node.parts, (route(fails_after_the_start),)) as url, connected(url) as wire:
        wire.send(request("GET", "/fails_after_the_start"))
        assert (await wire.reply()).status == 200
        rest = await wire.rest()
    assert b"half" in rest
    assert b"HTTP/1.1" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


class AwayWriter:
    """Settles every submission with one and the same refusal, as the writer does when a batch fails."""

    def __init__(self) -> None:
        self.refusal = LaurelsError(Code.DATABASE_UNAVAILABLE, "Away.", retry_after=0.2)

    async def submit(self, submissions: list[Any]) -> list[LaurelsError]:
        return [self.refusal] * len(submissions)


async def test_a_refusal_shared_by_many_requests_does_not_grow(node: InProcessNode) -> None:
    """Each raise would add its frames to the traceback, and keep the requests in them alive."""
    writer = AwayWriter()
    token = await node.token()
    headers = {"Authorization": f"Bearer {token}"}
    body = {"action_type": "lesson", "action_identifier": "a-1"}
    lengths = []
    async with serving(with_writer(node.parts, writer), ROUTES) as url:
        for path, sent in (("complete", body), ("batch", {"actions": [body, body]})) * 20:
            async with node.http.post(f"{url}/api/actions/{path}", json=sent, headers=headers) as reply:
                assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            lengths.append(frames(writer.refusal))
    assert max(lengths) == max(lengths[:2])


def with_writer(node: Node, writer: Any) -> Node:
    contexts = [replace(one, writer=writer) if isinstance(one, ActionContext) else one for one in node.contexts]
    return replace(node, contexts=tuple(contexts))


def frames(error: BaseException) -> int:
    count, at = 0, error.__traceback__
    while at is not None:
        count, at = count + 1, at.tb_next
    return count
