"""nginx: TLS, firewall, limits, and load balancing over the nodes."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..layout import DEPLOY, HOST, Layout, account, give
from ..part import Part, answers
from ..render import render

_SNIPPETS = (
    "tls",
    "headers",
    "proxy",
    "proxy_action",
    "proxy_socket",
    "forwarded",
    "problems",
    "problem",
    "log_format",
)
_FIREWALL = ("engine", "full", "slim", "address", "exclusions", "text")
CERTIFICATE_SECONDS = 60


def edge(layout: Layout, nodes: Sequence[str]) -> Part:
    """Return the edge in front of `nodes` (addresses)."""
    folder = layout.folder / "edge"
    return Part(
        name="edge",
        layer="edge",
        address=layout.address("https"),
        command=("/usr/sbin/nginx", "-c", str(folder / "conf" / "nginx.conf"), "-e", "stderr"),
        user=account("www-data"),
        prepare=lambda: prepare(layout, nodes),
        check=answers(f"localhost:{layout.port('https')}", "/livez", authority=layout.authority),
    )


def prepare(layout: Layout, nodes: Sequence[str]) -> None:
    user = account("www-data")
    folder = layout.place("edge", user=user)
    conf, rules = layout.place("edge", "conf"), layout.place("edge", "modsecurity", user=user)
    logs = layout.place("logs", "edge", user=user)
    certificates = _certificates(layout, user)
    places = {"folder": folder, "conf": conf, "logs": logs, "certificates": certificates}
    for name in _SNIPPETS:
        render(f"edge/{name}.conf", conf / f"{name}.conf", places)
    for name in _FIREWALL:
        render(f"edge/modsecurity-{name}.conf", rules / f"{name}.conf", places)
    _main(layout, nodes, places)


def _main(layout: Layout, nodes: Sequence[str], places: dict[str, Path]) -> None:
    login_rate = max(1, layout.rate // 40)
    render(
        "edge/nginx.conf",
        places["conf"] / "nginx.conf",
        {
            **places,
            "host": HOST,
            "https_port": layout.port("https"),
            "http_port": layout.port("http"),
            "status_port": layout.port("edge-status"),
            "server_name": "localhost 127.0.0.1",
            "servers": "\n".join(f"        server {node} max_fails=1 fail_timeout=1s;" for node in nodes),
            "rate": layout.rate,
            "burst": layout.rate * 2,
            "connections": layout.rate,
            "login_rate": login_rate,
            "login_burst": login_rate * 4,
        },
    )


def _certificates(layout: Layout, user: str | None) -> Path:
    folder = layout.place("certificates", user=user)
    if not (folder / "server.pem").exists():
        command = (DEPLOY.parent / "scripts" / "make-certificates", folder, "localhost", HOST)
        subprocess.run(command, check=True, capture_output=True, timeout=CERTIFICATE_SECONDS)
        for file in folder.iterdir():
            if user is not None:
                give(file, user)
    return folder


def exporter(layout: Layout) -> Part:
    address = layout.address("nginx-exporter")
    return Part(
        name="nginx-exporter",
        layer="watching",
        address=address,
        command=(
            "/usr/bin/prometheus-nginx-exporter",
            f"-web.listen-address={address}",
            f"-nginx.scrape-uri=http://{layout.address('edge-status')}/status",
        ),
        user=account("prometheus"),
        check=answers(address, "/metrics", "scraped"),
    )


def certificate_end(layout: Layout) -> float:
    """Return when the edge's certificate expires, in seconds since 1970."""
    command = ("openssl", "x509", "-noout", "-enddate", "-in", layout.folder / "certificates" / "server.pem")
    finished = subprocess.run(command, check=True, capture_output=True, text=True, timeout=CERTIFICATE_SECONDS)
    return ssl.cert_time_to_seconds(finished.stdout.strip().removeprefix("notAfter="))
