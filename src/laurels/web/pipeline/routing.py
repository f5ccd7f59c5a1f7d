"""Every route as an endpoint, and a fallback: 404, 405 and preflights answer as problem+json like any other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NoReturn

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from ..context import PipelineContext
from ..http.aiohttp_types import Request, StreamResponse, hdrs
from ..http.application import Application, Handle, new_application
from ..http.problems import refusal_reply
from ..http.responses import Reply, response_to
from ..limits.spending import spend
from .endpoint import client_address_of, endpoint_of, request_id_of
from .route import Route


def application(routes: Iterable[Route], context: PipelineContext, contexts: Collection[object]) -> Application:
    """Return the application that answers these routes, and refuses everything else."""
    app = new_application()
    allowed: dict[str, list[str]] = {}
    for route in routes:
        endpoint = endpoint_of(route, context, contexts)
        for method in _methods(route):
            # aiohttp's resolver alone gets a path with parts in braces whose route declares no params.
            app.add(method, route.path, endpoint, routed=route.params is not None or "{" not in route.path)
            allowed.setdefault(route.path, []).append(method)
    for path, methods in allowed.items():
        app.add_other_methods(path, _fallback(context, methods))
    app.add_catch_all(_fallback(context, []))
    return app


def _methods(route: Route) -> list[str]:
    """Return the methods of a route: HEAD goes with GET, except for a WebSocket."""
    with_head = route.method == hdrs.METH_GET and 101 not in route.replies
    return [route.method, hdrs.METH_HEAD] if with_head else [route.method]


def _fallback(context: PipelineContext, methods: list[str]) -> Handle:
    """Return what answers requests that no route takes: unknown paths (no `methods`), other methods, and preflights.

    They count against the allowance of the address, like every route.
    """

    async def handle(request: Request) -> StreamResponse:
        request_id = request_id_of(request)
        headers = {"X-Request-ID": request_id}
        try:
            address = client_address_of(context, request)
            spend(context.limits.address, address, 1, headers, announce=False)
            answer = _preflight(context, request, methods) or _refuse(methods, headers)
        except LaurelsError as refusal:
            telemetry.REFUSALS.labels(refusal.code.value).inc()
            answer = refusal_reply(refusal, request_id)
        return response_to(answer, headers)

    return handle


def _preflight(context: PipelineContext, request: Request, methods: list[str]) -> Reply | None:
    if request.method != hdrs.METH_OPTIONS or not methods:
        return None
    granted = context.options.origins.preflight(request.headers, methods)
    return None if granted is None else Reply(b"", 204, granted)


def _refuse(methods: list[str], headers: dict[str, str]) -> NoReturn:
    """Raise LaurelsError NOT_FOUND or METHOD_NOT_ALLOWED."""
    if not methods:
        raise LaurelsError(Code.NOT_FOUND, "There is nothing at this path. See /api/docs.")
    headers["Allow"] = ", ".join(sorted(methods))
    detail = f"This path does not support the method. It takes {headers['Allow']}."
    raise LaurelsError(Code.METHOD_NOT_ALLOWED, detail)
