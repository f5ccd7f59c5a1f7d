"""Legitimate requests pass the firewall, hostile ones do not."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from tests.edge.conftest import Edge
from tests.support.edge import Reply

CORPUS = Path(__file__).parent / "corpus"


def requests(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CORPUS / f"{name}.json").read_text())
    return found


def send(edge: Edge, request: dict[str, Any], token: str | None = None) -> Reply:
    headers = dict(request.get("headers", {}))
    body = request["raw"].encode() if "raw" in request else None
    if "body" in request:
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(request["body"], ensure_ascii=False).encode()
    if request.get("auth"):
        headers["Authorization"] = f"Bearer {token}"
    return edge.request(request["method"], request["path"], headers, body)


def test_every_legitimate_request_reaches_the_node(edge: Edge, token: str) -> None:
    """Names like O'Brien, passwords like SQL, emoji, Cyrillic: no user is refused because of a name."""
    wrong: dict[str, object] = {}
    for request in requests("legitimate"):
        reply = send(edge, request, token)
        refusal = reply.json().get("code") if reply.status >= 400 else None
        if reply.status != request["status"] or (refusal not in (request.get("code"), None) and "code" in request):
            wrong[request["name"]] = (reply.status, refusal)
        if refusal == "request_refused":
            wrong[request["name"]] = "taken for an attack"
    assert wrong == {}


def test_every_attack_is_refused(edge: Edge) -> None:
    """By the firewall or by the node, but always with 4xx (or a closed connection), and always as a problem."""
    passed = {}
    for request in requests("hostile"):
        try:
            reply = send(edge, request)
        except (ConnectionError, http.client.HTTPException):
            continue
        if not 400 <= reply.status < 500 or reply.headers.get("content-type") != "application/problem+json":
            passed[request["name"]] = (reply.status, reply.headers.get("content-type"), reply.body[:80])
    assert passed == {}


@pytest.mark.parametrize(
    "name",
    [
        *("SQL in a member", "markup in a member", "markup in a parameter", "a command", "a command in a body"),
        *("Shellshock", "a scanner", "SQL on a hot path", "a parameter called like a member", "SQL behind a name"),
        *(
            "markup behind a rank",
            "a command for an integrator's path",
            "a signed attack",
            "SQL for the one who erases",
        ),
    ],
)
def test_the_firewall_itself_refuses(edge: Edge, name: str) -> None:
    """Attacks end at the edge: they cost the nodes nothing."""
    request = next(item for item in requests("hostile") if item["name"] == name)
    reply = send(edge, request)
    assert (reply.status, reply.json()["code"]) == (403, "request_refused")
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
