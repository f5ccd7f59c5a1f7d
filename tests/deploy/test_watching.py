"""Alerts, dashboards and the runbook belong together; and an alert really arrives."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from deploy.cluster.layout import DEPLOY
from deploy.cluster.part import fetch
from deploy.cluster.supervisor import Supervisor
from prometheus_client import Metric
from prometheus_client.samples import Sample
from tests.deploy.conftest import ROOT
from tests.support.polling import soon

from laurels import telemetry

RULES = DEPLOY / "watching"
_METRIC = re.compile(r"\blaurels_[a-z_]+[a-z]\b")
_NOT_OURS = {"laurels_certificate_end_seconds", "laurels_owner", "laurels_watch"}
"""A metric of the keeper in `deploy/`, and roles of PostgreSQL."""
_ALERT = re.compile(r"^\s*- alert: (\w+)\n(?:.*\n)*?\s*labels: \{severity: (\w+)\}", re.MULTILINE)


def alerts() -> dict[str, str]:
    """Severity by name."""
    return dict(_ALERT.findall((RULES / "rules" / "alerts.yml").read_text()))


def test_every_alert_has_a_place_in_the_runbook_and_the_other_way_round() -> None:
    """Every alert leads the person on call to instructions."""
    written = dict(re.findall(r"^## (\w+)\n\*(\w+)\.\*", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))
    assert written == alerts()


def test_rules_are_valid_and_fire_when_they_should() -> None:
    subprocess.run([ROOT / "scripts" / "ensure-cluster", "watching"], check=True)
    for verb, files in (("check", "rules/*.yml"), ("test", "tests/*.yml")):
        command = ["/usr/bin/promtool", verb, "rules", *map(str, RULES.glob(files))]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr


def queries() -> Iterator[tuple[str, str]]:
    """(dashboard and panel, query)."""
    for file in sorted((RULES / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


def test_dashboards_are_whole() -> None:
    """Every panel has a place of its own, a source that is chosen in Grafana, and a query."""
    for file in (RULES / "dashboards").glob("*.json"):
        board = json.loads(file.read_text())
        assert board["uid"]
        assert [item["name"] for item in board["templating"]["list"]] == ["source"]
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert len({panel["id"] for panel in board["panels"]}) == len(places)
        for panel in board["panels"]:
            assert panel["datasource"]["uid"] == "${source}"
            assert panel["targets"], panel["title"]


def test_queries_name_metrics_that_exist() -> None:
    """In dashboards, rules, their tests and the docs."""
    exposed = {sample.name for family in telemetry.REGISTRY.collect() for sample in _samples(family)}
    texts = [*(RULES / "dashboards").glob("*.json"), *(RULES / "rules").glob("*.yml"), *(RULES / "tests").glob("*.yml")]
    texts += (ROOT / "docs").glob("*.md")
    named = {name for file in texts for name in _METRIC.findall(file.read_text())}
    assert {name for name in named - _NOT_OURS if not _is_exposed(name, exposed)} == set()


def test_no_code_reads_the_value_of_a_metric() -> None:
    """Metrics are for monitoring; what the service itself needs to know is kept by its parts."""
    reading = re.compile(r"\.get_sample_value\(|\._value\b|telemetry\.\w+\.collect\(")
    files = (ROOT / "src" / "laurels").rglob("*.py")
    assert [str(file) for file in files if reading.search(file.read_text())] == []


def test_metrics_follow_the_conventions_of_prometheus() -> None:
    """Base units at the end of the name, no type in it, and a help text that is a sentence."""
    for family in telemetry.REGISTRY.collect():
        assert family.name.startswith("laurels_")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|count|gauge|counter)$", family.name)
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_actions")), family.name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_panel_shows_something(cluster: Supervisor) -> None:
    """The running Prometheus answers each query with at least one series (refusals may be none)."""
    fetch(cluster.layout.address("node"), "/api/users/no-such-user")
    empty = {where for where, query in queries() if not soon(partial(_series, cluster, query), bool, within=90)}
    assert empty == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_node_is_told_to_the_pager_and_its_return_too(cluster: Supervisor) -> None:
    part = cluster.part("node-3")
    cluster.kill(part)
    wanted = {"alertname": "NodeDown", "receiver": "page", "severity": "page", "instance": part.address}
    soon(lambda: _told(cluster), lambda told: _has(told, wanted | {"status": "firing"}), within=90)
    cluster.launch(part)
    cluster.wait_for([part])
    soon(lambda: _told(cluster), lambda told: _has(told, wanted | {"status": "resolved"}), within=90)


def _series(cluster: Supervisor, query: str) -> list[Any]:
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    status, body = fetch(cluster.layout.address("prometheus"), path)
    assert status == 200, (query, body)
    found: list[Any] = json.loads(body)["data"]["result"]
    return found


def _told(cluster: Supervisor) -> list[dict[str, str]]:
    return [json.loads(line) for line in cluster.layout.log("alert-receiver").read_text().splitlines()]


def _has(told: list[dict[str, str]], wanted: dict[str, str]) -> bool:
    return any(wanted.items() <= alert.items() for alert in told)


def _samples(family: Metric) -> list[Sample]:
    """The samples of a metric; those that one with labels and no children yet would have."""
    if family.samples:
        return list(family.samples)
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
    return [Sample(family.name + end, {}, 0.0) for end in ends]


def _is_exposed(name: str, exposed: set[str]) -> bool:
    """Docs may name a histogram as a whole."""
    return name in exposed or f"{name}_bucket" in exposed
