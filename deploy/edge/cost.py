"""Measure the cost of the firewall: `python -m deploy.edge.cost` prints requests per second by rule set and path.

Behind the edge is a server that answers everything at once, so only the edge's own work differs. Rounds are
interleaved and the median is reported, so that other load on the machine affects all of them alike.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.cluster.layout import HOST, Layout
from deploy.cluster.part import Part, Stage, fetch
from deploy.cluster.parts.edge import edge
from deploy.cluster.supervisor import Failed, Supervisor

CONNECTIONS = 32
RATE = 60_000
_LIMIT = re.compile(r"rate=\d+r/s")
_FILE = re.compile(r"modsecurity/(full|slim)\.conf")
RULES: dict[str, Callable[[str], str]] = {
    "none": lambda conf: conf.replace("modsecurity on;", "modsecurity off;"),
    "no rule, the engine alone": lambda conf: _FILE.sub("modsecurity/alone.conf", conf),
    "slim": lambda conf: conf.replace("modsecurity/full.conf", "modsecurity/slim.conf"),
    "full": lambda conf: conf.replace("modsecurity/slim.conf", "modsecurity/full.conf"),
}
PATHS = {
    "/api/actions/complete": '{"action_type":"lesson","action_identifier":"course-12-lesson-7","metadata":{"stars":3}}',
    "/api/auth/login": '{"username":"ada","password":"correct horse battery"}',
}
_ALONE = "SecRuleEngine On\nSecRequestBodyAccess Off\nSecResponseBodyAccess Off\n"
_ANSWERING = """daemon off; worker_processes 1; pid {folder}/answering.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
    server {{ listen {address}; location / {{ return 200 '{{"ok":true}}'; }} }}
}}
"""
_SCRIPT = """wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["User-Agent"] = "laurels-client/1.0"
wrk.headers["Authorization"] = "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
"""
_PER_SECOND = re.compile(r"Requests/sec:\s+([\d.]+)")
out = Console()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.edge.cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ports", type=int, default=8700, help="the first of the ports that it uses")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            found = _measure(Layout(Path(folder) / "edge", arguments.ports, RATE), arguments.rounds, arguments.seconds)
    except Failed as error:
        out.print(f"[bold red]failed:[/] {error}", highlight=False)
        return 1
    _show(found)
    return 0


def _measure(layout: Layout, rounds: int, seconds: float) -> dict[tuple[str, str], list[float]]:
    """Return requests per second by (rules, path), one value per round."""
    found: dict[tuple[str, str], list[float]] = {}
    with _edge(layout) as (supervisor, part):
        for _ in range(rounds):
            for rules in RULES:
                _use(supervisor, part, rules)
                for path, body in PATHS.items():
                    found.setdefault((rules, path), []).append(_load(layout, path, body, seconds))
    return found


@contextmanager
def _edge(layout: Layout) -> Iterator[tuple[Supervisor, Part]]:
    supervisor = Supervisor(layout)
    layout.place("run")
    behind = _answering(layout)
    part = edge(layout, [behind.address])
    try:
        supervisor.run(Stage([behind]))
        supervisor.run(Stage([part]))
        yield supervisor, part
    finally:
        supervisor.stop(part)
        supervisor.stop(behind)


def _answering(layout: Layout) -> Part:
    folder, address = layout.place("answering"), f"{HOST}:{layout.port('node')}"
    config = folder / "nginx.conf"
    config.write_text(_ANSWERING.format(folder=folder, address=address))

    def check() -> str:
        status, _ = fetch(address, "/")
        return str(status)

    return Part("answering", "nodes", address, ("/usr/sbin/nginx", "-c", str(config), "-e", "stderr"), check=check)


def _use(supervisor: Supervisor, part: Part, rules: str) -> None:
    """Restart the edge with the same configuration but different rules."""

    def prepare() -> None:
        part.prepare()
        (supervisor.layout.folder / "edge" / "modsecurity" / "alone.conf").write_text(_ALONE)
        config = supervisor.layout.folder / "edge" / "conf" / "nginx.conf"
        config.write_text(_LIMIT.sub("rate=1000000r/s", RULES[rules](config.read_text())))  # no limit is reached

    supervisor.stop(part)
    supervisor.launch(replace(part, prepare=prepare))
    supervisor.wait_for([part])


def _load(layout: Layout, path: str, body: str, seconds: float) -> float:
    script = layout.folder / "load.lua"
    script.write_text(_SCRIPT.format(body=body))
    size = ("--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s")
    output = subprocess.run(
        ("/usr/bin/wrk", *size, "--script", script, layout.url + path), capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in output:
        raise Failed(f"the edge refused requests to {path}: {output.strip().splitlines()[-3:]}")
    return float(_PER_SECOND.findall(output)[0])


def _show(found: dict[tuple[str, str], list[float]]) -> None:
    table = Table("rules", *(f"{path}, requests/s" for path in PATHS))
    plain = {path: statistics.median(found["none", path]) for path in PATHS}
    for rules in RULES:
        cells = []
        for path in PATHS:
            median = statistics.median(found[rules, path])
            low, high = min(found[rules, path]), max(found[rules, path])
            cells.append(f"{median:,.0f} ({low:,.0f} to {high:,.0f}), 1/{plain[path] / median:.1f}")
        table.add_row(rules, *cells)
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
