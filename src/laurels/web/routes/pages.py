"""Pages and documents."""

from __future__ import annotations

from ..call import Route
from ..handlers import pages

PAGES: tuple[Route, ...] = (
    Route(method="GET", path="/", handler=pages.board_page, tag="Pages", summary="The live board", documented=False),
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
        path="/static/{name}",
        handler=pages.static_file,
        tag="Pages",
        summary="Files of the pages",
        documented=False,
    ),
)
