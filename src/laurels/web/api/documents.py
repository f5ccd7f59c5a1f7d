"""The API's documents, built once a process from the table of routes and the frames of the live protocol."""

from __future__ import annotations

from functools import cache

from . import asyncapi, openapi
from .pages import ApiDocuments
from .routes import ROUTES


@cache
def api_documents() -> ApiDocuments:
    """Return both documents as JSON. The first call takes some 100 ms, so a node makes it when it starts."""
    return ApiDocuments(openapi.document(ROUTES), asyncapi.document())
