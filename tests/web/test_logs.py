"""A node's logs: ECS documents that a search engine takes, and no secret in any of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.support.server import PASSWORD, LaurelsServer

MAIL = "ada@secret-mail.test"


@pytest.fixture
def talkative(database_url: str, tmp_path: Path) -> LaurelsServer:
    """A node that logs all it can."""
    return LaurelsServer(
        database_url, tmp_path / "log", LAURELS_LOG_LEVEL="debug", LAURELS_ACCESS_LOG="true", LAURELS_VERIFY_SECONDS="1"
    )


def lines(server: LaurelsServer) -> list[dict[str, Any]]:
    text = server.log.read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_no_password_and_no_token_is_ever_logged(talkative: LaurelsServer, database_url: str) -> None:
    """Not of those who succeed, not of those who fail, not at level debug."""
    talkative.start()
    tokens = talkative.post("/api/auth/register", {"username": "ada", "password": PASSWORD, "email": MAIL})
    fresh = talkative.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    secrets = [PASSWORD, MAIL, tokens["access_token"], tokens["refresh_token"], fresh["refresh_token"]]
    for path, body, token in (
        ("/api/auth/login", {"username": "ada", "password": "a wrong secret"}, None),
        ("/api/auth/refresh", {"refresh_token": "not-a-real-one"}, None),
        ("/api/actions/complete", {"action_type": "lesson", "action_identifier": "private-id"}, "bad.token.here"),
        ("/api/actions/complete?access_token=in-the-address", {}, fresh["access_token"]),
    ):
        with pytest.raises(OSError, match="HTTP Error 4"):
            talkative.post(path, body, token)
    talkative.complete(fresh["access_token"])
    talkative.stop()
    told = talkative.log.read_text()
    secrets += ["a wrong secret", "not-a-real-one", "bad.token.here", "in-the-address"]
    assert [secret for secret in secrets if secret in told] == []


def test_every_line_is_a_document_with_an_id_of_its_own(talkative: LaurelsServer) -> None:
    """`event.id` lets a shipper send twice; `trace.id` is the request id that the client received."""
    talkative.start()
    token = talkative.register(f"ada-{uuid.uuid4().hex[:8]}")
    talkative.complete(token, n=5)
    talkative.stop()
    told = lines(talkative)
    ids = [line["event"]["id"] for line in told]
    assert len(set(ids)) == len(ids)
    completes = [line for line in told if line.get("http", {}).get("route") == "/api/actions/complete"]
    assert len(completes) == 5
    assert len({line["trace"]["id"] for line in completes}) == 5
    for line in completes:
        assert line["http"]["response"]["status_code"] == 201
        assert line["event"]["duration"] > 0
        assert line["@timestamp"].endswith("Z")
