"""The OpenAPI 3.1 document, made from the routes and from the structs that decode requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ... import __version__
from ...domain.errors import Code
from ..auth import signatures
from ..auth.authenticate import scope_for
from ..http import problems
from ..http.decode import takes_nothing
from ..pipeline.route import Route

_DESCRIPTION = (
    "Live scoreboards that resist cheating and never lose an acknowledged point.\n\n"
    "Every refusal is `application/problem+json` with a stable `code`. Beside those named at each operation, any "
    "request may meet `malformed_request` (400), `not_found` (404), `method_not_allowed` (405) and `internal` (500). "
    "Frames of the live protocol carry the same codes, and two of their own: "
    "`too_many_unanswered` (429) and `too_many_subscriptions` (422)."
)
_REF = "#/components/schemas/{name}"
_HTTP_WORDS = {200: "OK", 201: "Created", 204: "Done, no content", 304: "Not modified", 101: "Switching protocols"}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the board you have",
    "schema": {"type": "string"},
}

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's access token: ours, or one of an issuer that the operator named",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "lk_…",
        "description": "A server's API key; `x-scope` at an operation names the scope that it needs",
    },
    "signedBody": {
        "type": "apiKey",
        "in": "header",
        "name": signatures.HEADER,
        "description": (
            "k=KEY_ID,t=UNIX_SECONDS,n=NONCE,v1=HEX: HMAC-SHA256 with the key's signing secret over t.n.body; "
            f"good once, within {signatures.WINDOW} seconds of t"
        ),
    },
}
_SCHEMES_OF = {
    "user": ("bearer",),
    "server": ("apiKey", "signedBody"),
    "moderator": ("bearer", "apiKey"),
    "admin": ("bearer", "apiKey"),
}


def document(routes: Iterable[Route]) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.format(msgspec.json.encode(build(routes)), indent=1)


def build(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of the documented ones among `routes`."""
    shown = [route for route in routes if route.documented]
    structs = _structs(shown)
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Laurels",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in shown)],
        "paths": paths,
        "x-problems": [
            {"code": code.value, "status": status, "title": title} for code, (status, title) in problems.STATUS.items()
        ],
        "components": {
            "schemas": {name: schemas[name] for name in sorted(schemas) if not name.endswith("Query")},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def possible_codes(route: Route) -> tuple[Code, ...]:
    """Return every code with which a request to this route may be refused."""
    codes = [*route.problems]
    if route.path not in ("/livez", "/readyz"):
        codes.append(Code.MISDIRECTED)
    if route.limit != "none":
        codes.append(Code.RATE_LIMITED)
    if route.access == "viewer":
        codes += [Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.BANNED]
        codes += [Code.ISSUER_UNAVAILABLE, Code.REGISTRATION_CLOSED]
    elif route.access != "public":
        codes += [Code.TOKEN_MISSING, Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.API_KEY_INVALID]
        codes += [Code.BANNED, Code.FORBIDDEN, Code.ISSUER_UNAVAILABLE, Code.REGISTRATION_CLOSED]
    if route.access == "server":
        codes += [Code.SIGNATURE_INVALID, Code.SIGNATURE_EXPIRED, Code.SIGNATURE_REPLAYED, Code.DATABASE_UNAVAILABLE]
    if route.params is not None or route.body is not None:
        codes.append(Code.INVALID_REQUEST)
    if route.body is not None:
        codes += [Code.INVALID_JSON, Code.MALFORMED_REQUEST, Code.UNSUPPORTED_MEDIA_TYPE, Code.UNSUPPORTED_ENCODING]
        codes += [Code.BODY_TOO_LARGE, Code.BODY_TIMEOUT]
    return tuple(dict.fromkeys(codes))


def _structs(routes: list[Route]) -> list[type]:
    found: list[type] = [problems.Problem]
    for route in routes:
        found += [kind for kind in (route.body, *route.replies.values()) if kind is not None]
    return list(dict.fromkeys(found))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.description,
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.access == "viewer":
        operation["security"] = [{}, {"bearer": []}]
    elif route.access != "public":
        scope = scope_for(route)
        schemes = _SCHEMES_OF[route.access] if scope is not None else ("bearer",)
        operation["security"] = [{scheme: []} for scheme in schemes]
        if scope is not None:
            operation["x-scope"] = scope
    if route.body is not None:
        operation["requestBody"] = {
            "required": not takes_nothing(route.body),
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return {key: value for key, value in operation.items() if value not in ("", [])}


def _parameters(route: Route) -> list[dict[str, Any]]:
    headers = [_IF_NONE_MATCH] if 304 in route.replies else []
    if route.params is None:
        return headers
    in_path = set(re.findall(r"{(\w+)}", route.path))
    _, components = msgspec.json.schema_components([route.params], ref_template=_REF)
    schema = components[route.params.__name__]
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path,
            "schema": _without_null(kind),
        }
        for name, kind in schema["properties"].items()
    ] + headers


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is text or absent, never null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in route.replies.items():
        responses[str(status)] = {"description": _HTTP_WORDS.get(status, "Not ready")}
        if kind is not None:
            responses[str(status)]["content"] = {route.media: {"schema": _reference(kind)}}
        elif route.media != "application/json" and status == 200:
            responses[str(status)]["content"] = {route.media: {"schema": {"type": "string"}}}
    by_status: dict[int, list[Code]] = {}
    for code in dict.fromkeys(possible_codes(route)):
        by_status.setdefault(problems.status_of(code), []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _problem_response(codes)
    return responses


def _problem_response(codes: list[Code]) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{code}`: {problems.STATUS[code][1].lower()}" for code in codes),
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {
                    "allOf": [_reference(problems.Problem)],
                    "properties": {"code": {"enum": [code.value for code in codes]}},
                }
            }
        },
    }


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
