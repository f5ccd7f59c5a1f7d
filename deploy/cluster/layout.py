"""Where everything is: folders, ports, users, passwords."""

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
"""First port of each kind, counted from the cluster's own first port."""
PORTS = 100
"""How many ports a cluster may take."""
_MACHINES = {
    "etcd": "db",
    "etcd-peer": "db",
    "postgres": "db",
    "patroni": "db",
    "redis": "cache",
    "sentinel": "cache",
}
"""Kinds that live on machines of their own when parts are set apart; the rest is where the nodes are."""
_FIRST_HOST = {"db": 1, "cache": 11}


@dataclass(frozen=True, slots=True)
class Layout:
    """One cluster. `rate`: requests a second and address that the edge lets pass.

    `settings` are handed to every node beside what the cluster itself sets. `apart`: databases and Redis each in a
    network namespace of its own, so that a network between them can be cut.
    """

    folder: Path
    first_port: int = 8400
    rate: int = 200
    settings: dict[str, str] = field(default_factory=dict)
    apart: bool = False

    def port(self, kind: str, number: int = 1) -> int:
        return self.first_port + _PORTS[kind] + number - 1

    def machine(self, kind: str, number: int = 1) -> str:
        """The machine that a kind lives on; empty for the one that everything shares."""
        return f"{_MACHINES[kind]}-{number}" if self.apart and kind in _MACHINES else ""

    def host(self, kind: str, number: int = 1) -> str:
        machine = self.machine(kind, number)
        return self.host_of(machine) if machine else HOST

    def host_of(self, machine: str) -> str:
        sort, _, number = machine.partition("-")
        return f"{self.subnet}.{_FIRST_HOST[sort] + int(number) - 1}"

    @property
    def subnet(self) -> str:
        """The first three numbers of machines' addresses, out of the range that is kept for trying networks."""
        return f"198.18.{self.first_port // PORTS % 256}"

    @property
    def network(self) -> str:
        """Who may speak to the databases."""
        return f"{self.subnet}.0/24" if self.apart else f"{HOST}/32"

    def address(self, kind: str, number: int = 1) -> str:
        return f"{self.host(kind, number)}:{self.port(kind, number)}"

    @property
    def url(self) -> str:
        """Where clients come in."""
        return f"https://localhost:{self.port('https')}"

    @property
    def authority(self) -> Path:
        """Whose certificates a client of the edge must believe."""
        return self.folder / "certificates" / "ca.pem"

    def place(self, *names: str, user: str | None = None) -> Path:
        """A folder of the cluster, made when it isn't there, that belongs to `user`."""
        path = self.folder.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        if user is not None:
            give(path, user)
        return path

    def log(self, name: str) -> Path:
        return self.place("logs") / f"{name}.log"

    def secret(self, name: str) -> str:
        """A password of this cluster, made at first use."""
        file = self.place("secrets") / name
        self.folder.joinpath("secrets").chmod(0o700)
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()


def account(name: str) -> str | None:
    """The user that a part runs as; None (ourselves) unless we are root and may choose."""
    return name if os.geteuid() == 0 else None


def give(path: Path, user: str) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(path, owner.pw_uid, owner.pw_gid)


def write_private(file: Path, text: str, user: str | None = None) -> None:
    """A file that only its owner reads, from its first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text)
    if user is not None:
        give(file, user)


def patroni(layout: Layout) -> Path:
    """The folder of Patroni's programs, in an environment of their own that the database's user can read."""
    return layout.folder.parent / ".venv-patroni" / "bin"


def python_for_nodes(layout: Layout) -> Path:
    """The interpreter that nodes run on: ours, unless they run as a user who could not read it."""
    return Path(sys.executable) if os.geteuid() else layout.folder.parent / ".venv-cluster" / "bin" / "python"
