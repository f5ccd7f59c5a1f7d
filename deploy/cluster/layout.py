"""Folders, ports, users and passwords of a cluster."""

from __future__ import annotations

import os
import pwd
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

DEPLOY = Path(__file__).parent.parent
HOST = "127.0.0.1"
NODES = (1, 2, 3)
DATABASES = (1, 2, 3)
ETCD = (1, 2, 3)
REDIS = (1, 2)
SENTINELS = (1, 2, 3)

_PORTS = {
    "node": 1,
    "etcd": 11,
    "etcd-peer": 14,
    "postgres": 21,
    "patroni": 24,
    "restore": 27,
    "redis": 31,
    "sentinel": 34,
    "https": 43,
    "edge-status": 44,
    "prometheus": 50,
    "alertmanager": 51,
    "webhook": 52,
    "node-exporter": 53,
    "redis-exporter": 54,
    "nginx-exporter": 55,
    "postgres-exporter": 56,
    "search": 60,
    "search-transport": 61,
    "http": 80,
}
"""First port of each kind, as an offset from the cluster's first port."""
PORTS = 100
"""The most ports that a cluster uses."""
_MACHINES = {
    "etcd": "db",
    "etcd-peer": "db",
    "postgres": "db",
    "patroni": "db",
    "redis": "cache",
    "sentinel": "cache",
}
"""Kinds that get a network namespace each when parts are set apart; all others share that of the nodes."""
_FIRST_HOST = {"db": 1, "cache": 11}


@dataclass(frozen=True, slots=True)
class Layout:
    """One cluster. `rate`: requests per second and address that the edge allows.

    `settings` are passed to every node in addition to those of the cluster. `apart`: databases and Redis each have
    their own network namespace, so that the network between them can be cut.
    """

    folder: Path
    first_port: int = 8400
    rate: int = 200
    settings: dict[str, str] = field(default_factory=dict)
    apart: bool = False

    def port(self, kind: str, number: int = 1) -> int:
        return self.first_port + _PORTS[kind] + number - 1

    def machine(self, kind: str, number: int = 1) -> str:
        """Return the network namespace of a kind; empty for the shared one."""
        return f"{_MACHINES[kind]}-{number}" if self.apart and kind in _MACHINES else ""

    def host(self, kind: str, number: int = 1) -> str:
        machine = self.machine(kind, number)
        return self.host_of(machine) if machine else HOST

    def host_of(self, machine: str) -> str:
        sort, _, number = machine.partition("-")
        return f"{self.subnet}.{_FIRST_HOST[sort] + int(number) - 1}"

    @property
    def subnet(self) -> str:
        """Return the first three numbers of the addresses, from the range reserved for benchmarks of networks."""
        return f"198.18.{self.first_port // PORTS % 256}"

    @property
    def network(self) -> str:
        """Return the network that may connect to the databases."""
        return f"{self.subnet}.0/24" if self.apart else f"{HOST}/32"

    def address(self, kind: str, number: int = 1) -> str:
        return f"{self.host(kind, number)}:{self.port(kind, number)}"

    @property
    def url(self) -> str:
        """Return the URL for clients."""
        return f"https://localhost:{self.port('https')}"

    @property
    def authority(self) -> Path:
        """Return the file of the certificate authority that clients of the edge must trust."""
        return self.folder / "certificates" / "ca.pem"

    def place(self, *names: str, user: str | None = None) -> Path:
        """Return a folder of the cluster that belongs to `user`, and create it if necessary."""
        path = self.folder.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        if user is not None:
            give(path, user)
        return path

    def log(self, name: str) -> Path:
        return self.place("logs") / f"{name}.log"

    def secret(self, name: str) -> str:
        """Return a password of this cluster, generated at first use."""
        file = self.place("secrets") / name
        self.folder.joinpath("secrets").chmod(0o700)
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()


def account(name: str) -> str | None:
    """Return the user that a part runs as; None (the current one) unless we are root and may choose."""
    return name if os.geteuid() == 0 else None


def give(path: Path, user: str) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(path, owner.pw_uid, owner.pw_gid)


def write_private(file: Path, text: str, user: str | None = None) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text)
    if user is not None:
        give(file, user)


def patroni(layout: Layout) -> Path:
    """Return the folder of Patroni's programs, in a separate environment that the database's user can read."""
    return layout.folder.parent / ".venv-patroni" / "bin"


def python_for_nodes(layout: Layout) -> Path:
    """Return the interpreter for nodes: the current one, unless they run as a user who could not read it."""
    return Path(sys.executable) if os.geteuid() else layout.folder.parent / ".venv-cluster" / "bin" / "python"
