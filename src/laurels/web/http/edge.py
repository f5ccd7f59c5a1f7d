"""From a route to an aiohttp handler: the order in which a request is checked.

    request id -> address limit -> token or key -> ban -> parameters -> media type -> size -> signature -> JSON
    -> schema -> user's or key's limit -> nonce, role -> handler

That limit comes so late because a request costs what its body holds: one per action.
Whatever is refused on the way becomes problem+json. What nobody foresaw is logged with its
traceback and answered as `internal` without it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
import structlog
from aiohttp import hdrs, web
from prometheus_client import Counter

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from ..auth.access_tokens import Principal
from ..auth.authenticate import authenticate, authenticate_external, authorize, presents_token
from ..auth.keyring import ApiKey
from ..auth.signatures import Signatory
from ..limits.rate_limit import Allowance, RateLimit
from ..services import Services
from . import request_ids
from .bodies import read_body
from .call import Answer, Call, Reply, Route, encode
from .decode import decode_body, params_of
from .forwarded import client_address
from .problems import problem
from .responses import ReadyResponse
from .router import Endpoint, Router

log = structlog.get_logger(__name__)

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(routes: Iterable[Route], services: Services) -> tuple[web.Application, Router]:
    """All routes, then a catch-all so that 404 and 405 are problems like any other.

    The shortcuts lead to the same endpoints, past aiohttp's resolver.
    """
    app = web.Application()
    router = Router()
    allowed: dict[str, list[str]] = {}
    for route in routes:
        endpoint = _endpoint(route, services)
        for method in _methods(route):
            if route.params is not None or "{" not in route.path:
                router.add(method, route.path, endpoint)
            app.router.add_route(method, _pattern(route.path), _resolved(endpoint), expect_handler=_expect_later)
            allowed.setdefault(route.path, []).append(method)
    for path, methods in allowed.items():
        refusing = _fallback(services, methods)
        app.router.add_route(hdrs.METH_ANY, _pattern(path), refusing, expect_handler=_expect_later)
    elsewhere = _fallback(services, [])
    app.router.add_route(hdrs.METH_ANY, "/{rest:.*}", elsewhere, expect_handler=_expect_later)
    router.elsewhere = elsewhere
    return app, router


def _pattern(path: str) -> str:
    """Return a path as aiohttp matches it; by default it would take no braces in a parameter, and names have them."""
    return re.sub(r"{(\w+)}", r"{\1:[^/]+}", path)


def _methods(route: Route) -> list[str]:
    """What can be got can be asked for without its body, but for a socket."""
    with_head = route.method == hdrs.METH_GET and 101 not in route.replies
    return [route.method, hdrs.METH_HEAD] if with_head else [route.method]


def _resolved(endpoint: Endpoint) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await endpoint(request, request.match_info)

    return handle


async def _expect_later(_: web.Request) -> None:
    """Expect: 100-continue is answered when a body is read (`bodies`); other expectations may be ignored (RFC 9110)."""


def _endpoint(route: Route, services: Services) -> Endpoint:
    seconds = telemetry.REQUEST_SECONDS.labels(route.name)
    counters: dict[int, Counter] = {}
    origins = services.options.origins

    async def handle(request: web.Request, in_path: Mapping[str, str]) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = _request_id(request)
        headers: dict[str, str] = {"X-Request-ID": request_id}
        if origins:
            headers.update(origins.grant(request.headers))
        code: Code | None = None
        try:
            answer = await _answer(route, services, request, in_path, headers)
        except Exception as failure:
            error = _as_refusal(failure, request, route, request_id)
            if request.writer.output_size:
                raise ConnectionResetError("too late for an answer") from failure
            code = error.code
            answer = refusal_reply(error, request_id)
        response = response_to(answer, headers)
        elapsed = time.perf_counter() - started
        if response.status == 101:  # a socket that has closed: its life is no time to answer
            telemetry.REQUESTS.labels(route.name, 101).inc()
            return response
        seconds.observe(elapsed)
        _counter(counters, route, response.status).inc()
        if code is not None:
            telemetry.REFUSALS.labels(code.value).inc()
        if code is not None or services.options.access_log or elapsed > services.options.slow_seconds:
            _log_request(request, route, response.status, elapsed, request_id, code)
        return response

    return handle


def _counter(counters: dict[int, Counter], route: Route, status: int) -> Counter:
    """Looking a labelled metric up costs more than counting."""
    found = counters.get(status)
    if found is None:
        found = counters[status] = telemetry.REQUESTS.labels(route.name, status)
    return found


async def _answer(
    route: Route, services: Services, request: web.Request, in_path: Mapping[str, str], headers: dict[str, str]
) -> Answer:
    address = _client_address(services, request)
    if route.limit == "probe":
        _spend(services.limits.probe, address, route.weight, headers, tell=False)
    elif route.limit != "none":
        _spend(services.limits.address, address, 1, headers, tell=route.limit == "address")
    if route.limit == "login":
        _spend(services.limits.login, address, 1, headers)
    caller = await _caller(services, request, route)
    call = Call(services, request, caller, address, headers["X-Request-ID"])
    if route.params is not None:
        call.params = params_of(request, in_path, route.params)
    if route.body is not None:
        body = await read_body(request, route.body_limit, services.options.body_seconds)
        if isinstance(caller, Signatory):
            caller.check(body)
        call.body = decode_body(body, route.body)
    if caller is not None and route.access != "viewer":
        _spend_of(services, caller, route.cost(call.body), headers)
        await authorize(services, caller, route)
    answer = await route.handler(call)
    if route.access in ("moderator", "admin") and route.method != hdrs.METH_GET:
        await services.wait_for_propagation()  # what may have changed for everybody is journalled by now
    return answer


async def _caller(services: Services, request: web.Request, route: Route) -> Principal | ApiKey | None:
    if route.access == "public" or (route.access == "viewer" and not presents_token(request)):
        return None
    return authenticate(services, request, route) or await authenticate_external(services, request, route)


def _spend_of(services: Services, caller: Principal | ApiKey, cost: int, headers: dict[str, str]) -> None:
    if isinstance(caller, ApiKey):
        _spend(services.limits.key, caller.id, cost, headers)
    else:
        _spend(services.limits.user, caller.user_id, cost, headers)


def _spend(limit: RateLimit, key: str | int, cost: int, headers: dict[str, str], *, tell: bool = True) -> None:
    allowance: Allowance = limit.hit(key, time.monotonic(), cost)
    if tell or allowance.refused:
        headers.update(allowance.headers(limit.policy))
    if allowance.refused:
        raise LaurelsError(
            Code.RATE_LIMITED,
            f"More than {allowance.limit} a minute ({limit.policy}). Wait for Retry-After seconds.",
            retry_after=allowance.retry_after,
        )


def response_to(answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    """What is sent: every reply carries the security headers, and `headers` (taken over)."""
    if isinstance(answer, web.StreamResponse):
        return answer
    if isinstance(answer, msgspec.Struct):
        answer = Reply(encode(answer))
    headers.update(answer.headers)
    return ReadyResponse(answer.status, headers, answer.body)


def _as_refusal(failure: Exception, request: web.Request, route: Route, request_id: str) -> LaurelsError:
    if isinstance(failure, LaurelsError):
        return failure
    if isinstance(failure, ConnectionError) and _is_disconnected(request):
        raise failure
    if isinstance(failure, web.RequestPayloadError):
        return LaurelsError(Code.MALFORMED_REQUEST, "The body can't be read: its chunks are broken.")
    if isinstance(failure, web.HTTPBadRequest):  # what aiohttp raises when a handshake is not one
        return LaurelsError(Code.UPGRADE_REQUIRED, f"This is no WebSocket handshake: {failure.text}")
    log.error("unforeseen failure", request_id=request_id, route=route.name, exc_info=failure)
    return LaurelsError(Code.INTERNAL, "This is our fault. Quote the request id.")


def _is_disconnected(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def refusal_reply(error: LaurelsError, request_id: str) -> Reply:
    """A refusal as problem+json."""
    body, headers = problem(error, request_id)
    return Reply(encode(body), body.status, headers)


def _fallback(services: Services, methods: list[str]) -> Handle:
    """Answer what no route takes: unknown paths (no `methods`), other methods, and what browsers ask before they send.

    Within the allowance of the address, like every route.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        request_id = _request_id(request)
        headers = {"X-Request-ID": request_id}
        try:
            address = _client_address(services, request)
            _spend(services.limits.address, address, 1, headers, tell=False)
            answer = _preflight(services, request, methods) or _refuse(request, methods, headers)
        except LaurelsError as refusal:
            telemetry.REFUSALS.labels(refusal.code.value).inc()
            answer = refusal_reply(refusal, request_id)
        return response_to(answer, headers)

    return handle


def _preflight(services: Services, request: web.Request, methods: list[str]) -> Reply | None:
    if request.method != hdrs.METH_OPTIONS or not methods:
        return None
    granted = services.options.origins.preflight(request.headers, methods)
    return None if granted is None else Reply(b"", 204, granted)


def _refuse(request: web.Request, methods: list[str], headers: dict[str, str]) -> Reply:
    """Raises LaurelsError NOT_FOUND or METHOD_NOT_ALLOWED."""
    if not methods:
        raise LaurelsError(Code.NOT_FOUND, "Nothing lives at this path. See /api/docs.")
    headers["Allow"] = ", ".join(sorted(methods))
    raise LaurelsError(Code.METHOD_NOT_ALLOWED, f"{request.method} is not for this path. It takes {headers['Allow']}.")


def _client_address(services: Services, request: web.Request) -> str:
    options = services.options
    return client_address(request.headers, request.remote, options.trusted_proxies, options.forwarded_header)


def _request_id(request: web.Request) -> str:
    """The caller's id if it is a plain short one, for traces across services; else a new one."""
    given = request.headers.get(request_ids.HEADER)
    return (given and request_ids.chosen_by_caller(given)) or request_ids.new_request_id()


def _log_request(
    request: web.Request, route: Route, status: int, elapsed: float, request_id: str, code: Code | None
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
