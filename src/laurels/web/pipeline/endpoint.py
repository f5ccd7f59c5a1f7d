"""One route as an endpoint: the order in which a request is checked.

    request id -> address limit -> token or key -> ban -> parameters -> media type -> size -> signature -> JSON
    -> schema -> user's or key's limit -> nonce, role -> handler

The user's limit comes late because a request costs what its body holds: one per action. Every refusal on the way
becomes problem+json. An unexpected failure is logged with its traceback and answered as `internal` without it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import structlog
from prometheus_client import Counter

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from ..auth.access_tokens import Principal
from ..auth.authenticate import presents_token
from ..auth.keyring import ApiKey
from ..auth.signatures import SignedKey
from ..context import PipelineContext
from ..http import request_ids
from ..http.aiohttp_private import reply_has_begun
from ..http.aiohttp_types import Request, RequestPayloadError, StreamResponse, hdrs
from ..http.bodies import read_body
from ..http.decode import decode_body, params_of
from ..http.forwarded import client_address
from ..http.problems import refusal_reply
from ..http.responses import Answer, response_to
from ..http.router import Endpoint
from ..limits.spending import spend
from .binding import bind
from .call import Call, Handler
from .route import Route

log = structlog.get_logger(__name__)


def endpoint_of(route: Route, context: PipelineContext, contexts: Collection[object]) -> Endpoint:
    """Return the function that answers requests of a route. `contexts`: those that handlers may ask for."""
    seconds = telemetry.REQUEST_SECONDS.labels(route.name)
    counters: dict[int, Counter] = {}
    origins = context.options.origins
    handler = bind(route.handler, contexts)

    async def handle(request: Request, in_path: Mapping[str, str]) -> StreamResponse:
        started = time.perf_counter()
        request_id = request_id_of(request)
        headers: dict[str, str] = {"X-Request-ID": request_id}
        if origins:
            headers.update(origins.grant(request.headers))
        code: Code | None = None
        try:
            answer = await _answer(route, handler, context, request, in_path, headers)
        except Exception as failure:
            error = _as_refusal(failure, request, route, request_id)
            if reply_has_begun(request):
                raise ConnectionResetError("too late for an answer") from failure
            code = error.code
            answer = refusal_reply(error, request_id)
        response = response_to(answer, headers)
        elapsed = time.perf_counter() - started
        if response.status == 101:  # an upgraded connection has no response time
            telemetry.REQUESTS.labels(route.name, 101).inc()
            return response
        seconds.observe(elapsed)
        _counter(counters, route, response.status).inc()
        if code is not None:
            telemetry.REFUSALS.labels(code.value).inc()
        if code is not None or context.options.access_log or elapsed > context.options.slow_seconds:
            _log_request(request, route, response.status, elapsed, request_id, code)
        return response

    return handle


def _counter(counters: dict[int, Counter], route: Route, status: int) -> Counter:
    """Return the counter of a status; looking up a labelled metric costs more than counting."""
    found = counters.get(status)
    if found is None:
        found = counters[status] = telemetry.REQUESTS.labels(route.name, status)
    return found


async def _answer(
    route: Route,
    handler: Handler,
    context: PipelineContext,
    request: Request,
    in_path: Mapping[str, str],
    headers: dict[str, str],
) -> Answer:
    """Check the request and call the handler. Raises LaurelsError."""
    address = client_address_of(context, request)
    if route.limit == "probe":
        spend(context.limits.probe, address, route.weight, headers, announce=False)
    elif route.limit != "none":
        spend(context.limits.address, address, 1, headers, announce=route.limit == "address")
    if route.limit == "login":
        spend(context.limits.login, address, 1, headers)
    caller = await _caller(context, request, route)
    call = Call(request, caller, address, headers["X-Request-ID"])
    if route.params is not None:
        call.params = params_of(request, in_path, route.params)
    if route.body is not None:
        body = await read_body(request, route.body_limit, context.options.body_seconds)
        if isinstance(caller, SignedKey):
            caller.check(body)
        call.body = decode_body(body, route.body)
    if caller is not None and route.access != "viewer":
        _spend_of_caller(context, caller, route.cost(call.body), headers)
        await context.authenticator.authorize(caller, route)
    answer = await handler(call)
    if route.access in ("moderator", "admin") and route.method != hdrs.METH_GET:
        await context.wait_for_propagation()  # the change is in the journal by now
    return answer


async def _caller(context: PipelineContext, request: Request, route: Route) -> Principal | ApiKey | None:
    headers = request.headers
    if route.access == "public" or (route.access == "viewer" and not presents_token(headers)):
        return None
    authenticator = context.authenticator
    return authenticator.authenticate(headers, route) or await authenticator.authenticate_external(headers, route)


def _spend_of_caller(context: PipelineContext, caller: Principal | ApiKey, cost: int, headers: dict[str, str]) -> None:
    if isinstance(caller, ApiKey):
        spend(context.limits.key, caller.id, cost, headers)
    else:
        spend(context.limits.user, caller.user_id, cost, headers)


def _as_refusal(failure: Exception, request: Request, route: Route, request_id: str) -> LaurelsError:
    """Return what to answer for a failure. Raises it again when the client has gone."""
    if isinstance(failure, LaurelsError):
        return failure
    if isinstance(failure, ConnectionError) and _is_disconnected(request):
        raise failure
    if isinstance(failure, RequestPayloadError):
        return LaurelsError(Code.MALFORMED_REQUEST, "The body can't be read: its chunks are broken.")
    log.error("unexpected failure", request_id=request_id, route=route.name, exc_info=failure)
    return LaurelsError(Code.INTERNAL, "The server failed. Quote the request id.")


def _is_disconnected(request: Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def client_address_of(context: PipelineContext, request: Request) -> str:
    """Return the key under which the client's requests are limited, see `http.forwarded`."""
    options = context.options
    return client_address(request.headers, request.remote, options.trusted_proxies, options.forwarded_header)


def request_id_of(request: Request) -> str:
    """Return the id that the caller chose, if it is short and plain, else a new one."""
    given = request.headers.get(request_ids.HEADER)
    return (given and request_ids.chosen_by_caller(given)) or request_ids.new_request_id()


def _log_request(
    request: Request, route: Route, status: int, elapsed: float, request_id: str, code: Code | None
) -> None:
    write = log.error if status >= 500 else log.info
    write(
        "request",
        method=request.method,
        route=route.path,
        status=status,
        milliseconds=round(elapsed * 1000, 1),
        request_id=request_id,
        **({"code": code.value} if code else {}),
    )
