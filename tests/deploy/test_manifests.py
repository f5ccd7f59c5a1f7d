"""The files for container engines: valid by their own schemas, and of the same parts as what runs here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import psutil
import pytest
import redis
import yaml
from deploy.cluster.layout import DEPLOY, Layout
from deploy.cluster.shape import parts
from tests.support.polling import soon
from tests.support.ports import free_port
from tests.support.redis import REDIS_SERVER

from laurels.config import Settings

KUBERNETES = "1.31"
COMPOSE = DEPLOY / "compose.yaml"
ELSEWHERE = {"postgres-exporter", "redis-exporter", "nginx-exporter", "node-exporter", "alert-receiver", "log-shipper"}
"""Parts of `make cluster` that an engine's users have another of, or none: exporters, the stand-in for a pager."""
NAMES = {"node": "laurels", "search": "elasticsearch"}


def documents() -> list[dict[str, Any]]:
    return [item for file in (DEPLOY / "kubernetes").glob("*.yaml") for item in yaml.safe_load_all(file.read_text())]


def test_compose_fits_its_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
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


def test_no_argument_of_compose_holds_a_secret() -> None:
    """Other users can see arguments: a shell reads secrets into files, never into the commands that it executes."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name, service in services.items():
        words = service.get("command", [])
        executed = [line for word in words for line in word.splitlines() if line.strip().startswith("exec ")]
        for line in executed or words:
            assert "/run/secrets" not in line.replace("_FILE=/run/secrets", ""), name
            assert "$$" not in line, name
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), (name, variable)
            assert variable == "ELASTICSEARCH_API_KEY" or "secret" not in str(value).replace("/run/secrets", ""), name


def test_redis_of_compose_takes_its_password_from_a_file(tmp_path: Path) -> None:
    """Both start scripts, run: who shows no password is refused, and no argument holds it."""
    port, sentinel = free_port(), free_port()
    with _started(tmp_path / "redis", "redis-1", {"appendonly yes": f"port {port}\\nappendonly yes"}):
        moved = {"redis-1 6379": f"127.0.0.1 {port}", "port 26379": f"port {sentinel}"}
        _check_password(port)
        with _started(tmp_path / "sentinel", "sentinel-1", moved):
            _check_password(sentinel)


SECRET = "a-secret-of-redis"


@contextlib.contextmanager
def _started(folder: Path, service: str, changes: dict[str, str]) -> Iterator[None]:
    """The service's own script, with its folders below `folder`, and its image's entry point left out."""
    folder.mkdir()
    (folder / "docker-entrypoint.sh").write_text('#!/bin/sh\nexec "$@"\n')
    (folder / "docker-entrypoint.sh").chmod(0o755)
    for name in ("redis_password", "sentinel_password"):
        (folder / name).write_text(SECRET + "\n")
    found = yaml.safe_load(COMPOSE.read_text())["services"][service]
    script = found["command"][-1].replace("$$", "$").replace("/run/secrets", str(folder)).replace("/data", str(folder))
    for old, new in changes.items():
        assert old in script
        script = script.replace(old, new)
    script = script.replace("redis-server", REDIS_SERVER)
    environment = os.environ | found.get("environment", {}) | {"PATH": f"{folder}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["/bin/sh", "-c", script], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
        shown = " ".join(word for one in [psutil.Process(process.pid)] for word in one.cmdline())
        assert SECRET not in shown
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("*.conf"))
    finally:
        process.kill()
        process.wait()


def _check_password(port: int) -> None:
    def refused() -> bool:
        try:
            redis.Redis(port=port).ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        return False

    soon(refused, bool, within=20)
    assert redis.Redis(port=port, password=SECRET).ping()


def test_grafana_of_compose_finds_its_dashboards() -> None:
    """A password from a secret, a data source, and the folder of dashboards where it is mounted."""
    service = yaml.safe_load(COMPOSE.read_text())["services"]["grafana"]
    assert service["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    mounts = dict(volume.split(":")[:2][::-1] for volume in service["volumes"])
    (source,) = _provisioned(mounts, "datasources", "datasources")
    (provider,) = _provisioned(mounts, "dashboards", "providers")
    assert (source["type"], source["isDefault"], source["url"]) == ("prometheus", True, "http://prometheus:9090")
    shown = list((DEPLOY / mounts[provider["options"]["path"]]).glob("*.json"))
    assert len(shown) == 2
    for dashboard in shown:
        (variable,) = json.loads(dashboard.read_text())["templating"]["list"]
        assert (variable["type"], variable["query"]) == ("datasource", source["type"])


def _provisioned(mounts: dict[str, str], kind: str, member: str) -> list[dict[str, Any]]:
    (file,) = (DEPLOY / mounts[f"/etc/grafana/provisioning/{kind}"]).glob("*.yml")
    found: list[dict[str, Any]] = yaml.safe_load(file.read_text())[member]
    return found


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
