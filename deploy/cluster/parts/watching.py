"""Prometheus, Alertmanager, and the exporter of the machine. The other exporters are defined beside their parts."""

from __future__ import annotations

from ..layout import DATABASES, DEPLOY, ETCD, HOST, NODES, REDIS, SENTINELS, Layout, account
from ..part import Part, answers
from ..render import render
from .edge import certificate_end

USER = "prometheus"
RULES = DEPLOY / "watching" / "rules"


def parts(layout: Layout) -> list[Part]:
    return [_machine(layout), _receiver(layout), _alertmanager(layout), _prometheus(layout)]


def _machine(layout: Layout) -> Part:
    address = layout.address("node-exporter")
    return Part(
        name="node-exporter",
        layer="watching",
        address=address,
        command=(
            "/usr/bin/prometheus-node-exporter",
            f"--web.listen-address={address}",
            f"--collector.textfile.directory={layout.folder / 'watching' / 'textfiles'}",
            "--log.level=error",
        ),
        user=account(USER),
        prepare=lambda: _certificate_age(layout),
        check=answers(address, "/metrics", "scraped"),
    )


def _certificate_age(layout: Layout) -> None:
    """Write the expiry time of the edge's certificate as a metric, once at the start."""
    folder = layout.place("watching", "textfiles", user=account(USER))
    (folder / "certificate.prom").write_text(
        "# HELP laurels_certificate_end_seconds When the edge's certificate ends.\n"
        "# TYPE laurels_certificate_end_seconds gauge\n"
        f"laurels_certificate_end_seconds {certificate_end(layout):.0f}\n"
    )


def _receiver(layout: Layout) -> Part:
    """Return the receiver of alerts, which prints them to its log in place of a pager."""
    address = layout.address("webhook")
    return Part(
        name="alert-receiver",
        layer="watching",
        address=address,
        command=("/usr/bin/python3", str(DEPLOY / "watching" / "receiver.py"), HOST, str(layout.port("webhook"))),
        user=account(USER),
        check=answers(address, "/", "listening"),
    )


def _alertmanager(layout: Layout) -> Part:
    address = layout.address("alertmanager")
    folder = layout.folder / "alertmanager"
    return Part(
        name="alertmanager",
        layer="watching",
        address=address,
        command=(
            "/usr/bin/prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ),
        user=account(USER),
        prepare=lambda: _prepare_alertmanager(layout),
        check=answers(address, "/-/ready"),
    )


def _prepare_alertmanager(layout: Layout) -> None:
    folder = layout.place("alertmanager", user=account(USER))
    values = {"webhook": f"http://{layout.address('webhook')}"}
    render("watching/alertmanager.yml", folder / "alertmanager.yml", values)


def _prometheus(layout: Layout) -> Part:
    address = layout.address("prometheus")
    folder = layout.folder / "prometheus"
    return Part(
        name="prometheus",
        layer="watching",
        address=address,
        command=(
            "/usr/bin/prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ),
        user=account(USER),
        prepare=lambda: _prepare_prometheus(layout),
        check=answers(address, "/-/ready"),
    )


def _prepare_prometheus(layout: Layout) -> None:
    folder = layout.place("prometheus", user=account(USER))
    for rules in RULES.glob("*.yml"):
        (folder / rules.name).write_text(rules.read_text())
    render(
        "watching/prometheus.yml",
        folder / "prometheus.yml",
        {
            "rules": folder,
            "alertmanager": layout.address("alertmanager"),
            "prometheus": layout.address("prometheus"),
            "nodes": _targets(layout, "node", NODES),
            "postgres": _targets(layout, "postgres-exporter", DATABASES),
            "patroni": _targets(layout, "patroni", DATABASES),
            "etcd": _targets(layout, "etcd", ETCD),
            "redis": ", ".join(f'"redis://{layout.address("redis", n)}"' for n in REDIS),
            "sentinels": ", ".join(f'"redis://{layout.address("sentinel", n)}"' for n in SENTINELS),
            "redis_exporter": layout.address("redis-exporter"),
            "edge": layout.address("nginx-exporter"),
            "machine": layout.address("node-exporter"),
        },
    )


def _targets(layout: Layout, kind: str, numbers: tuple[int, ...]) -> str:
    return ", ".join(f'"{layout.address(kind, number)}"' for number in numbers)
