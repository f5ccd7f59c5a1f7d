"""Pages, static files and the API documents."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ...domain.errors import Code, LaurelsError
from ..http.responses import Reply
from ..pipeline.call import Call
from ..pipeline.route import Route

_FOLDER = resources.files("laurels.web") / "static"


@dataclass(frozen=True, slots=True)
class ApiDocuments:
    """The OpenAPI and the AsyncAPI document as JSON."""

    openapi: bytes
    asyncapi: bytes


async def board_page(call: Call) -> Reply:
    """Answer with the page of a board."""
    return _file(call, "index.html")


async def person_page(call: Call) -> Reply:
    """Answer with the page of a person."""
    return _file(call, "person.html")


async def overlay_page(call: Call) -> Reply:
    """Answer with a board alone, for streams."""
    return _file(call, "overlay.html")


async def admin_page(call: Call) -> Reply:
    """Answer with the console. The page itself is public: its content is requested with the operator's token."""
    return _file(call, "admin.html")


async def docs_page(call: Call) -> Reply:
    """Answer with the API reference."""
    return _file(call, "docs.html")


async def static_file(call: Call) -> Reply:
    """Answer with a script, style sheet or image.

    It is allowed to every origin, because pages of other sites import the board's module.
    """
    reply = _file(call, call.request.match_info["name"])
    reply.headers["Access-Control-Allow-Origin"] = "*"
    return reply


async def openapi(documents: ApiDocuments, _: Call) -> Reply:
    """Answer with the OpenAPI document."""
    return Reply(documents.openapi)


async def asyncapi(documents: ApiDocuments, _: Call) -> Reply:
    """Answer with the AsyncAPI document of the live protocol."""
    return Reply(documents.asyncapi)


def _file(call: Call, name: str) -> Reply:
    files = _files()
    if name not in files:
        raise LaurelsError(Code.NOT_FOUND, "There is no such file.")
    body, media, etag = files[name]
    headers = {"Content-Type": media, "ETag": etag, "Cache-Control": "no-cache"}
    if call.already_has(etag):
        return Reply(b"", 304, headers)
    return Reply(body, headers=headers)


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    found = {}
    for item in _FOLDER.iterdir():
        if item.is_file():
            body = item.read_bytes()
            media = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
            if media.startswith("text/") or media.endswith("javascript"):
                media += "; charset=utf-8"
            found[item.name] = (body, media, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return found


PAGES: tuple[Route, ...] = (
    Route(method="GET", path="/", handler=board_page, tag="Pages", summary="The live board", documented=False),
    Route(method="GET", path="/u/{name}", handler=person_page, tag="Pages", summary="A person", documented=False),
    Route(
        method="GET",
        path="/overlay/{slug}",
        handler=overlay_page,
        tag="Pages",
        summary="A board and nothing else, for streams",
        documented=False,
    ),
    Route(method="GET", path="/admin", handler=admin_page, tag="Pages", summary="The console", documented=False),
    Route(method="GET", path="/api/docs", handler=docs_page, tag="Pages", summary="These docs", documented=False),
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=openapi,
        tag="Pages",
        summary="The OpenAPI document",
        documented=False,
    ),
    Route(
        method="GET",
        path="/api/asyncapi.json",
        handler=asyncapi,
        tag="Pages",
        summary="The live protocol, machine-readable (AsyncAPI 3)",
        documented=False,
    ),
    Route(
        method="GET",
        path="/static/{name}",
        handler=static_file,
        tag="Pages",
        summary="Files of the pages",
        documented=False,
    ),
)
