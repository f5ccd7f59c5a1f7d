"""Logs reach a real search engine, whatever happens to it in between."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from deploy.cluster.supervisor import Supervisor
from deploy.logs.prepare import STREAM
from opensearchpy import OpenSearch
from tests.support.edge import EdgeClient
from tests.support.polling import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BEFORE, MEANWHILE, AFTER = 100, 100, 100


@pytest.fixture
def engine(cluster: Supervisor) -> Iterator[OpenSearch]:
    client = OpenSearch(f"http://{cluster.layout.address('search')}")
    yield client
    client.close()


def test_every_acknowledgement_finds_its_document(cluster: Supervisor, engine: OpenSearch) -> None:
    """Exactly one document for each, though the engine was stopped in the middle of the load."""
    client = EdgeClient(cluster.layout)
    token = client.register("logged")
    acknowledged = _complete(client, token, "before", BEFORE)
    part = cluster.part("search")
    cluster.stop(part)
    acknowledged += _complete(client, token, "meanwhile", MEANWHILE)
    cluster.launch(part)
    cluster.wait_for([part])
    acknowledged += _complete(client, token, "after", AFTER)
    found = soon(lambda: _found(engine, acknowledged), lambda found: len(found) >= len(acknowledged), within=60)
    assert {trace: found.count(trace) for trace in set(found)} == dict.fromkeys(acknowledged, 1)


def test_the_shipper_refused_nothing(cluster: Supervisor) -> None:
    folder = cluster.layout.folder / "shipper"
    assert not (folder / "refused.log").exists()
    left = (folder / "unshipped.log").read_text() if (folder / "unshipped.log").exists() else ""
    assert [line for line in left.splitlines() if line.startswith("{")] == []


def test_documents_are_searched_by_what_they_are(cluster: Supervisor, engine: OpenSearch) -> None:
    """Statuses are numbers, times are times, codes are words."""
    EdgeClient(cluster.layout).get("/api/users/no-such-user")
    refused = {"range": {"http.response.status_code": {"gte": 400}}}
    wanted = {"query": {"bool": {"filter": [refused, {"term": {"laurels.code": "user_unknown"}}]}}}
    answer = soon(
        lambda: engine.search(index=STREAM, body=wanted), lambda answer: answer["hits"]["total"]["value"] > 0, within=30
    )
    assert answer["hits"]["hits"][0]["_source"]["service"]["name"] == "laurels"


def _complete(client: EdgeClient, token: str, prefix: str, count: int) -> list[str]:
    """The request ids of acknowledged actions."""
    ids = []
    for number in range(count):
        reply = client.complete(token, f"{prefix}-{number}")
        assert reply.status == 201, json.loads(reply.body)
        ids.append(reply.headers["x-request-id"])
    return ids


def _found(engine: OpenSearch, traces: list[str]) -> list[str]:
    engine.indices.refresh(index=STREAM)
    wanted = [{"terms": {"trace.id": traces}}, {"term": {"service.name": "laurels"}}]
    asked = {"query": {"bool": {"filter": wanted}}, "size": 1000, "_source": ["trace.id"]}
    answer = engine.search(index=STREAM, body=asked)
    return [hit["_source"]["trace"]["id"] for hit in answer["hits"]["hits"]]
