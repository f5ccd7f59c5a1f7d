"""From a route to an aiohttp handler: the order in which a request is checked.

    request id -> address limit -> token -> ban -> user limit -> media type -> size -> JSON -> schema -> handler

Whatever is refused on the way becomes problem+json. What nobody foresaw is logged with its
traceback and answered as `internal` without it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog
from aiohttp import hdrs, web

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from .call import Answer, Call, Reply, Route, encode
from .decode import decode_body, decode_params
from .limits import Allowance, RateLimit
from .problems import problem
from .services import Services
from .tokens import Principal

log = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "laurels",
}

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(routes: Iterable[Route], services: Services) -> web.Application:
    """All routes, then a catch-all so that 404 and 405 are problems like any other."""
    app = web.Application(client_max_size=MAX_BODY)
    allowed: dict[str, list[str]] = {}
    for route in routes:
        app.router.add_route(route.method, route.path, _endpoint(route, services))
        if route.method == hdrs.METH_GET and route.path != "/api/live":
            app.router.add_route(hdrs.METH_HEAD, route.path, _endpoint(route, services))
        allowed.setdefault(route.path, []).append(route.method)
    for path, methods in allowed.items():
        app.router.add_route(hdrs.METH_ANY, path, _refusing(_method_not_allowed(methods)))
    app.router.add_route(hdrs.METH_ANY, "/{rest:.*}", _refusing(_not_found))
    return app


def _endpoint(route: Route, services: Services) -> Handle:
    seconds = telemetry.REQUEST_SECONDS.labels(route.name)

    async def handle(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = _request_id(request)
        headers: dict[str, str] = {"X-Request-ID": request_id}
        code: Code | None = None
        try:
            answer = await _answer(route, services, request, headers)
        except LaurelsError as error:
            code = error.code
            answer = _refusal(error, request_id)
        except web.HTTPRequestEntityTooLarge:
            code = Code.BODY_TOO_LARGE
            answer = _refusal(_too_large(MAX_BODY), request_id)
        except (ConnectionResetError, web.HTTPException):
            raise
        except Exception:
            log.exception("unforeseen failure", request_id=request_id, route=route.name)
            code = Code.INTERNAL
            answer = _refusal(LaurelsError(code, "This is our fault. Quote the request id."), request_id)
        response = _response(answer, headers)
        elapsed = time.perf_counter() - started
        seconds.observe(elapsed)
        telemetry.REQUESTS.labels(route.name, response.status).inc()
        if code is not None:
            telemetry.REFUSALS.labels(code.value).inc()
        if code is not None or services.options.access_log or elapsed > services.options.slow_seconds:
            _log_request(request, route, response.status, elapsed, request_id, code)
        return response

    return handle


async def _answer(
    route: Route, services: Services, request: web.Request, headers: dict[str, str]
) -> Answer:
    address = client_address(request, services.options.trusted_proxies)
    if route.limit != "none":
        _spend(services.limits.address, address, 1, headers, tell=route.limit == "address")
    if route.limit == "login":
        _spend(services.limits.login, address, 1, headers)
    principal = _authenticate(services, request) if route.access != "public" else None
    call = Call(services, request, principal, address)
    if route.params is not None:
        call.params = decode_params({**request.query, **request.match_info}, route.params)
    if route.body is not None:
        call.body = decode_body(await _read(request, route.body_limit), route.body)
    if principal is not None:
        _spend(services.limits.user, principal.user_id, route.cost(call.body), headers)
    if route.access == "admin":
        await _require_admin(services, principal)
    return await route.handler(call)


def _authenticate(services: Services, request: web.Request) -> Principal:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if not token or scheme.lower() != "bearer":
        raise LaurelsError(Code.TOKEN_MISSING, "Send an access token: Authorization: Bearer …")
    principal = services.tokens.verify(token)
    if principal.user_id in services.directory.blocked:
        raise LaurelsError(Code.BANNED, "This account is banned.")
    return principal


async def _require_admin(services: Services, principal: Principal | None) -> None:
    """The role in a token may be minutes old: for what only admins may do, the ledger is asked."""
    if principal is None or principal.role != "admin":
        raise LaurelsError(Code.FORBIDDEN, "Only an admin may do this.")
    account = await services.accounts.by_id(principal.user_id)
    if account.role != "admin" or account.status != "active":
        raise LaurelsError(Code.FORBIDDEN, "Only an admin may do this.")


def _spend(
    limit: RateLimit, key: str | int, cost: int, headers: dict[str, str], *, tell: bool = True
) -> None:
    allowance: Allowance = limit.hit(key, time.monotonic(), cost)
    if tell or allowance.refused:
        headers.update(allowance.headers(limit.policy))
    if allowance.refused:
        raise LaurelsError(
            Code.RATE_LIMITED,
            f"More than {allowance.limit} a minute ({limit.policy}). Wait for Retry-After seconds.",
            retry_after=allowance.retry_after,
        )


async def _read(request: web.Request, limit: int) -> bytes:
    if request.content_type != "application/json":
        raise LaurelsError(Code.UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json.")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = await request.read()
    if len(body) > limit:
        raise _too_large(limit)
    return body


def client_address(request: web.Request, trusted_proxies: int) -> str:
    """The peer, or the entry of X-Forwarded-For that the outermost trusted proxy wrote."""
    if trusted_proxies:
        entries = [
            entry.strip()
            for line in request.headers.getall("X-Forwarded-For", [])
            for entry in line.split(",")
        ]
        if len(entries) >= trusted_proxies:
            return entries[-trusted_proxies]
    return request.remote or "unknown"


def _response(answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    if isinstance(answer, msgspec.Struct):
        answer = Reply(encode(answer))
    return web.Response(
        body=answer.body, status=answer.status, headers={**SECURITY_HEADERS, **headers, **answer.headers}
    )


def _refusal(error: LaurelsError, request_id: str) -> Reply:
    body, headers = problem(error, request_id)
    return Reply(encode(body), body.status, headers)


def _refusing(error: Callable[[web.Request], LaurelsError]) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        request_id = _request_id(request)
        refusal = error(request)
        reply = _refusal(refusal, request_id)
        telemetry.REFUSALS.labels(refusal.code.value).inc()
        allow = getattr(refusal, "allow", None)
        extra = {"X-Request-ID": request_id} | ({"Allow": allow} if allow else {})
        return _response(reply, extra)

    return handle


class _MethodNotAllowed(LaurelsError):
    def __init__(self, method: str, methods: list[str]) -> None:
        self.allow = ", ".join(sorted(methods))
        super().__init__(Code.METHOD_NOT_ALLOWED, f"{method} is not for this path. It takes {self.allow}.")


def _method_not_allowed(methods: list[str]) -> Callable[[web.Request], LaurelsError]:
    return lambda request: _MethodNotAllowed(request.method, methods)


def _not_found(request: web.Request) -> LaurelsError:
    return LaurelsError(Code.NOT_FOUND, "Nothing lives at this path. See /api/docs.")


def _too_large(limit: int) -> LaurelsError:
    return LaurelsError(Code.BODY_TOO_LARGE, f"The body has more than {limit} bytes. Send less at once.")


def _request_id(request: web.Request) -> str:
    """The caller's id if it is a plain short one, for traces across services; else a new one."""
    given = request.headers.get("X-Request-ID", "")
    if 8 <= len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum():
        return given
    return secrets.token_hex(8)


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
