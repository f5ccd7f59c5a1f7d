"""A client that comes in through the edge, over TLS, and sends requests as they are given."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.cluster.layout import Layout

from tests.support.server import PASSWORD

PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class EdgeClient:
    """Every request on a connection of its own."""

    def __init__(self, layout: Layout) -> None:
        self.port = layout.port("https")
        self.tls = ssl.create_default_context(cafile=layout.authority)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {"User-Agent": "laurels-client/1.0", "Accept": "*/*", **(headers or {})}.items():
                connection.putheader(name, value.encode())
            if body is not None and "Content-Length" not in (headers or {}):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, path: str, body: Any, token: str | None = None) -> Reply:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.request("POST", path, headers, json.dumps(body, ensure_ascii=False).encode())

    def register(self, username: str) -> str:
        """An access token of a fresh account."""
        reply = self.post("/api/auth/register", {"username": username, "password": PASSWORD})
        assert reply.status == 201, reply
        return str(reply.json()["access_token"])

    def complete(self, token: str, identifier: str, kind: str = "lesson") -> Reply:
        return self.post("/api/actions/complete", {"action_type": kind, "action_identifier": identifier}, token)
