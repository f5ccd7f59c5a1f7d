"""The three Laurels nodes, and the steps that must precede their start."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from laurels.config import Settings

from ..layout import DEPLOY, NODES, Layout, account, python_for_nodes, write_private
from ..part import Part, Step, Unhealthy, answers
from . import cache, database

USER = "laurels"
_MIGRATE_SECONDS = 120
_OPTIONAL: dict[str, Callable[[Layout], str]] = {
    "REDIS_URL": cache.url,
    "REPLICA_URLS": lambda layout: ",".join(database.replica_urls(layout)),
}


def nodes(layout: Layout) -> list[Part]:
    return [_node(layout, number) for number in NODES]


def _node(layout: Layout, number: int) -> Part:
    folder = layout.folder / f"node-{number}"
    address = layout.address("node", number)
    return Part(
        name=f"node-{number}",
        layer="nodes",
        address=address,
        command=(str(python_for_nodes(layout)), "-m", "laurels.cli", "serve"),
        user=account(USER),
        environment={
            "DATABASE_URL_FILE": str(folder / "DATABASE_URL"),
            **{f"{name}_FILE": str(folder / name) for name in _known_addresses()},
            "LAURELS_DATA": str(folder),
            "LAURELS_PORT": str(layout.port("node", number)),
            "LAURELS_TRUSTED_PROXIES": "1",
            "LAURELS_ACCESS_LOG": "true",
            "PYTHONUNBUFFERED": "1",
            **layout.settings,
        },
        prepare=lambda: _prepare(layout, number),
        check=answers(address, "/readyz"),
        stop_seconds=30,
    )


def _known_addresses() -> list[str]:
    """Return the optional addresses for which this version of Laurels has a setting."""
    settings = {item.metadata["env"] for item in fields(Settings)}
    return [name for name in _OPTIONAL if name in settings]


def _prepare(layout: Layout, number: int) -> None:
    user = account(USER)
    folder = layout.place(f"node-{number}", user=user)
    write_private(folder / "DATABASE_URL", database.url(layout, "laurels", "postgres-service"), user)
    for name in _known_addresses():
        write_private(folder / name, _OPTIONAL[name](layout), user)


def steps(layout: Layout) -> list[Step]:
    return [Step("install Laurels", lambda: _install(layout)), Step("migrate the ledger", lambda: _migrate(layout))]


def _install(layout: Layout) -> None:
    """Install Laurels for the nodes' user, who can't read an interpreter under root's home, when started as root."""
    python = python_for_nodes(layout)
    if os.geteuid() != 0:
        return
    source = DEPLOY.parent
    environment = python.parent.parent
    database.run_once("/usr/bin/python3", "-m", "venv", str(environment))
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    database.run_once(*pip, "--require-hashes", "-r", str(source / "requirements" / "run.txt"))
    database.run_once(*pip, "--no-deps", "--no-build-isolation", "--force-reinstall", str(source))


def _migrate(layout: Layout) -> None:
    """Migrate as the owner of the schema, whose password no node has."""
    user = account(USER)
    address = layout.place("migrate", user=user) / "DATABASE_URL"
    write_private(address, database.url(layout, "laurels_owner", "postgres-owner"), user)
    try:
        finished = subprocess.run(
            (python_for_nodes(layout), "-m", "laurels.cli", "migrate"),
            env={"DATABASE_URL_FILE": str(address), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=address.parent,
            capture_output=True,
            text=True,
            timeout=_MIGRATE_SECONDS,
            check=False,
        )
    finally:
        Path(address).unlink()
    if finished.returncode:
        raise Unhealthy(f"laurels migrate failed: {(finished.stderr or finished.stdout).strip()[-300:]}")
