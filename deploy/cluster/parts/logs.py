"""The search engine for logs, and the shipper that reads the log files of nodes and edge into it."""

from __future__ import annotations

import json
import subprocess

from deploy.logs.prepare import STREAM, prepare

from ..layout import DEPLOY, HOST, Layout, account, give
from ..part import Part, Step, Unhealthy, fetch
from ..render import render

USER = "laurels"
_FETCH_SECONDS = 600


def engine(layout: Layout) -> Part:
    programs = layout.folder.parent / ".search-engine"
    folder = layout.folder / "search"
    address = layout.address("search")
    return Part(
        name="search",
        layer="logs",
        address=address,
        command=(
            # No acknowledgement waits for it, so it gets the lowest priority at start and compiles little.
            "/usr/bin/nice",
            "--adjustment=10",
            "/usr/bin/java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xmx512m",
            "-cp",
            f"{programs}:{programs}/lib/*",
            "Engine",
            str(folder),
            str(layout.port("search")),
            str(layout.port("search-transport")),
        ),
        user=account(USER),
        check=lambda: _state(address),
        prepare=lambda: _prepare_engine(layout),
        start_seconds=120,
    )


def _prepare_engine(layout: Layout) -> None:
    script = DEPLOY.parent / "scripts" / "ensure-search"
    finished = subprocess.run(
        (script, layout.folder.parent / ".search-engine"),
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise Unhealthy(f"ensure-search failed: {(finished.stderr or finished.stdout).strip()[-300:]}")
    layout.place("search", user=account(USER))


def _state(address: str) -> str:
    status, body = fetch(address, "/_cluster/health")
    if status != 200 or json.loads(body)["status"] not in ("green", "yellow"):
        raise Unhealthy(f"answers {status}: {body[:80].decode(errors='replace')}")
    return "ready"


def templates(layout: Layout) -> Step:
    def work() -> None:
        try:
            prepare(f"http://{layout.address('search')}")
        except OSError as error:
            raise Unhealthy(str(error)) from error

    return Step("template of the data stream", work)


def shipper(layout: Layout) -> Part:
    folder = layout.folder / "shipper"
    return Part(
        name="log-shipper",
        layer="logs",
        address="",
        command=("/usr/sbin/rsyslogd", "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")),
        user=account(USER),
        check=lambda: _shipping(layout),
        prepare=lambda: _prepare_shipper(layout),
    )


def _prepare_shipper(layout: Layout) -> None:
    user = account(USER)
    folder = layout.place("shipper", user=user)
    layout.place("shipper", "queue", user=user)
    statistics = folder / "statistics.json"
    statistics.unlink(missing_ok=True)
    values = {
        "folder": folder,
        "logs": layout.folder / "logs",
        "host": HOST,
        "port": layout.port("search"),
        "stream": STREAM,
    }
    give(render("logs/rsyslog.conf", folder / "rsyslog.conf", values), user or "root")


def _shipping(layout: Layout) -> str:
    """Return how many documents wait for the engine, from statistics that are written every 5 seconds."""
    try:
        lines = (layout.folder / "shipper" / "statistics.json").read_text().splitlines()
    except OSError as error:
        raise Unhealthy("no statistics yet") from error
    sizes = [json.loads(line[line.index("{") :]) for line in lines[-40:] if '"name": "ship' in line]
    waiting = sum(int(one.get("size", 0)) for one in sizes[-1:])
    return f"shipping, {waiting} waiting" if waiting else "shipping"
