"""The real edge before real nodes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy.cluster.layout import Layout
from deploy.cluster.part import Stage
from deploy.cluster.parts.edge import edge as edge_part
from deploy.cluster.supervisor import Supervisor
from tests.support.folders import reachable
from tests.support.ports import free_block
from tests.support.server import LaurelsServer

ROOT = Path(__file__).parent.parent.parent
SITE = "https://partner.example"
"""A page of another origin that is allowed to call."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Edge:
    """A running edge, and requests to it."""

    def __init__(self, layout: Layout, supervisor: Supervisor, nodes: list[str]) -> None:
        self.layout = layout
        self.supervisor = supervisor
        self.part = edge_part(layout, nodes, origins=[SITE])
        self.tls = ssl.create_default_context(cafile=None)

    def start(self) -> None:
        self.layout.place("run")
        self.supervisor.run(Stage([self.part]))
        self.tls = ssl.create_default_context(cafile=self.layout.authority)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """One request on a connection of its own, sent as it is given."""
        connection = http.client.HTTPSConnection("localhost", self.layout.port("https"), context=self.tls, timeout=30)
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

    def post(self, path: str, body: Any, token: str | None = None) -> Reply:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.request("POST", path, headers, json.dumps(body, ensure_ascii=False).encode())


@pytest.fixture(scope="session")
def _installed() -> None:
    if os.geteuid() != 0:
        pytest.skip("nginx runs as a user of its own: needs root")
    subprocess.run([ROOT / "scripts" / "ensure-cluster", "edge"], check=True)


@pytest.fixture(scope="session")
def open_edge(_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Edge]]:
    """Starts an edge before the given nodes; it ends with the session."""
    running: list[Edge] = []

    def start(nodes: list[str], rate: int = 10_000) -> Edge:
        folder = reachable(tmp_path_factory.mktemp("edge")) / "state"
        layout = Layout(folder, free_block(), rate)
        edge = Edge(layout, Supervisor(layout), nodes)
        running.append(edge)
        edge.start()
        return edge

    yield start
    for edge in running:
        edge.supervisor.stop(edge.part)


@pytest.fixture(scope="session")
def edge(open_edge: Callable[..., Edge], laurels_server: LaurelsServer) -> Edge:
    """One edge before one node."""
    return open_edge([f"127.0.0.1:{laurels_server.port}"])


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def token(edge: Edge) -> str:
    reply = edge.post("/api/auth/register", {"username": f"edge-{next(_numbers)}", "password": "correct horse battery"})
    assert reply.status == 201, reply
    return str(reply.json()["access_token"])
