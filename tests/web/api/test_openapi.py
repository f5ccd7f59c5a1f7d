"""The OpenAPI document says what the service does, all of it, and nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema_rs
import pytest
from tests.support.node import InProcessNode
from tests.support.server import PASSWORD, LaurelsServer

from laurels.domain.errors import Code
from laurels.web.api.documents import api_documents
from laurels.web.api.openapi import possible_codes
from laurels.web.api.routes import ROUTES
from laurels.web.http.problems import STATUS

PATIENCE = 280
"""Seconds: some thousand requests, and the machine may be busy."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def the_document() -> Any:
    return json.loads(api_documents().openapi)


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node))
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set()


async def test_the_document_is_served_as_it_is_made(node: InProcessNode) -> None:
    assert await node.get("/api/openapi.json") == (200, the_document())


def test_every_route_is_documented() -> None:
    """Path by path and method by method; pages apart."""
    documented = {(method.upper(), path) for path, item in the_document()["paths"].items() for method in item}
    assert documented == {(route.method, route.path) for route in ROUTES if route.documented}
    assert {route.tag for route in ROUTES if not route.documented} == {"Pages"}


def test_every_operation_can_be_told_apart_and_says_what_it_is_for() -> None:
    operations = [operation for item in the_document()["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["responses"] for operation in operations)


def test_every_reference_leads_somewhere() -> None:
    whole = the_document()
    for reference in references(whole):
        target = whole
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def test_every_schema_is_a_json_schema() -> None:
    """OpenAPI 3.1 schemas are JSON Schema 2020-12; patterns and all."""
    whole = the_document()
    assert whole["openapi"].startswith("3.1.")
    for name, schema in whole["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": whole["components"]})


def test_every_code_has_a_status_and_is_in_the_document() -> None:
    """Those of an operation stand at it, the rest in the introduction; all in the schema of a problem."""
    assert set(STATUS) == set(Code)
    whole = the_document()
    assert set(whole["components"]["schemas"]["Code"]["enum"]) == {code.value for code in Code}
    told = {code for route in ROUTES for code in possible_codes(route)}
    for code in set(Code) - told:
        assert f"`{code}` ({STATUS[code][0]})" in whole["info"]["description"]


async def an_admin(server: LaurelsServer) -> str:
    """A token of the user that the examples of the document are about; it may enter everywhere."""
    server.register("ada")
    connection = await asyncpg.connect(server._environment["DATABASE_URL"])
    await connection.execute("UPDATE users SET role = 'admin' WHERE username = 'ada'")
    await connection.close()
    return str(server.post("/api/auth/login", {"username": "ada", "password": PASSWORD})["access_token"])


@pytest.mark.timeout(PATIENCE + 60)
def test_reality_agrees_with_the_document(laurels_server: LaurelsServer, tmp_path: Path) -> None:
    """Generated requests, good and bad, to every operation: no 5xx, no reply that the document does not know."""
    token = asyncio.run(an_admin(laurels_server))
    laurels_server.complete(token, n=3)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{laurels_server.url}/api/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "8", "--seed", "1", "--suppress-health-check", "all"),
        *("--exclude-operation-id", "edit_settings"),  # one request a minute, and nothing else is seen
        *("--exclude-path", "/api/live"),  # a socket is not a request with a reply
        *("--exclude-path", "/api/live/events"),  # a reply that does not end
        *("--warnings", "off", "--no-color"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
