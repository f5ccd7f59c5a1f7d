"""The files for container engines: valid by their own schemas, and of the same parts as what runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deploy.cluster.layout import DEPLOY, Layout
from deploy.cluster.shape import parts

from laurels.config import Settings

KUBERNETES = "1.31"
COMPOSE = DEPLOY / "compose.yaml"
ELSEWHERE = {"postgres-exporter", "redis-exporter", "nginx-exporter", "node-exporter", "alert-receiver", "log-shipper"}
"""Parts of `make cluster` that an engine's users have another of, or none: exporters, the stand-in for a pager."""
NAMES = {"node": "laurels", "search": "elasticsearch"}


def documents() -> list[dict[str, Any]]:
    return [item for file in (DEPLOY / "kubernetes").glob("*.yaml") for item in yaml.safe_load_all(file.read_text())]


def test_compose_fits_its_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    told = subprocess.run(check, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_compose_has_the_parts_of_the_cluster(tmp_path: Path) -> None:
    services = set(yaml.safe_load(COMPOSE.read_text())["services"])
    for part in parts(Layout(tmp_path)):
        kind, _, number = part.name.partition("-")
        base = re.sub(r"-\d$", "", part.name)
        if base not in ELSEWHERE:
            wanted = f"{NAMES[kind]}-{number}".rstrip("-") if kind in NAMES else part.name
            assert wanted in services, part.name


def test_every_mount_and_secret_of_compose_is_declared() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (
                (DEPLOY / source).exists() or source == "./certificates"
                if source[0] == "."
                else source in compose["volumes"]
            )
            assert known, (name, source)
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        assert set(service["networks"]) <= set(compose["networks"]), name


@pytest.mark.parametrize("document", documents(), ids=lambda item: f"{item['kind']} {item['metadata']['name']}")
def test_manifests_fit_the_schemas_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_pods_may_nothing_that_they_need_not() -> None:
    for document in documents():
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["enableServiceLinks"] is False  # else neighbours write into its environment
            for container in pod["containers"]:
                assert not container["securityContext"]["allowPrivilegeEscalation"]
                assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
                assert "memory" in container["resources"]["limits"]


def test_settings_in_manifests_exist() -> None:
    """A node refuses a setting that it does not know."""
    known = {item.metadata["env"] for item in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    config = next(item for item in documents() if item["kind"] == "ConfigMap")
    node = yaml.safe_load(COMPOSE.read_text())["services"]["laurels-1"]
    assert set(config["data"]) <= known
    assert set(node["environment"]) <= known
