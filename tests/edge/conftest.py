"""The real edge before real nodes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy.cluster.layout import Layout
from deploy.cluster.part import Stage
from deploy.cluster.parts.edge import edge as edge_part
from deploy.cluster.supervisor import Supervisor
from tests.support.edge import EdgeClient
from tests.support.folders import reachable
from tests.support.ports import free_block
from tests.support.server import LaurelsServer

ROOT = Path(__file__).parent.parent.parent


class Edge(EdgeClient):
    """A running edge, and requests to it."""

    def __init__(self, layout: Layout, supervisor: Supervisor, nodes: list[str]) -> None:
        self.layout = layout
        self.supervisor = supervisor
        self.part = edge_part(layout, nodes)

    def start(self) -> None:
        self.layout.place("run")
        self.supervisor.run(Stage([self.part]))
        super().__init__(self.layout)


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


@pytest.fixture(scope="session")
def token(edge: Edge) -> str:
    return edge.register("edge-player")
