"""A sender of bad requests, and what every refusal must look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.node import InProcessNode
from tests.support.raw_http import Reply, exchange, request

COMPLETE, BATCH = "/api/actions/complete", "/api/actions/batch"
GOOD = {"action_type": "lesson", "action_identifier": "a-1"}


@dataclass
class Attacker:
    """A user with a good token who sends bad requests."""

    node: InProcessNode
    token: str

    async def post(self, path: str, body: bytes, **headers: str) -> Reply:
        return await exchange(self.node.url, self.bytes_of(path, body, **headers))

    def bytes_of(self, path: str, body: bytes, **headers: str) -> bytes:
        fields = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return request("POST", path, fields | {name.replace("_", "-"): text for name, text in headers.items()}, body)

    async def post_chunked(self, path: str, body: bytes) -> Reply:
        """The same without a Content-Length."""
        head = self.bytes_of(path, b"", Transfer_Encoding="chunked")
        chunks = [body[i : i + 10_000] for i in range(0, len(body), 10_000)] + [b""]
        return await exchange(self.node.url, head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks))

    async def get(self, target: str, **headers: str) -> Reply:
        fields = {"Authorization": f"Bearer {self.token}"} | headers
        return await exchange(self.node.url, request("GET", target, fields))


def assert_problem(reply: Reply, status: int, code: str, path: str | None = None, *, of: object = "") -> None:
    """RFC 9457, complete, without a word about how the service is made."""
    assert reply.status == status, (of, reply)
    assert reply.headers["content-type"] == "application/problem+json", of
    problem = reply.json()
    assert (problem["status"], problem["code"], problem.get("path")) == (status, code, path), (of, problem)
    assert problem["type"] == f"/api/docs#{code}"
    assert problem["title"]
    assert problem["detail"].strip(), of
    assert problem["request_id"] == reply.headers["x-request-id"]
    for secret in ("Traceback", "asyncpg", "msgspec", ".py"):
        assert secret not in problem["detail"], of
    assert reply.headers["x-content-type-options"] == "nosniff"


def action(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()
