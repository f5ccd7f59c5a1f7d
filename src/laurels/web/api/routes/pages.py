"""Pages and documents."""

from __future__ import annotations

from ...http.call import Route
from ..handlers import pages

PAGES: tuple[Route, ...] = (
    Route(method="GET", path="/", handler=pages.board_page, tag="Pages", summary="The live board", documented=False),
    Route(method="GET", path="/u/{name}", handler=pages.person_page, tag="Pages", summary="A person", documented=False),
    Route(
        method="GET",
        path="/overlay/{slug}",
        handler=pages.overlay_page,
        tag="Pages",
        summary="A board and nothing else, for streams",
        documented=False,
    ),
    Route(method="GET", path="/admin", handler=pages.admin_page, tag="Pages", summary="The console", documented=False),
    Route(method="GET", path="/api/docs", handler=pages.docs_page, tag="Pages", summary="These docs", documented=False),
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=pages.openapi,
        tag="Pages",
        summary="The OpenAPI document",
        documented=False,
    ),
    Route(
        method="GET",
        path="/api/asyncapi.json",
        handler=pages.asyncapi,
        tag="Pages",
        summary="The live protocol, machine-readable (AsyncAPI 3)",
        documented=False,
    ),
    Route(
        method="GET",
        path="/static/{name}",
        handler=pages.static_file,
        tag="Pages",
        summary="Files of the pages",
        documented=False,
    ),
)
