"""Requests and responses of aiohttp's server, as the rest of the service names them."""

from __future__ import annotations

from aiohttp import hdrs
from aiohttp.web import Request, RequestPayloadError, StreamResponse

__all__ = ["Request", "RequestPayloadError", "StreamResponse", "hdrs"]
