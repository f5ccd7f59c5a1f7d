"""Network namespaces for databases and Redis, one each, on one bridge: "machines" on one kernel.

Everything else (nodes, edge, monitoring) is on the bridge itself. `cut` silently drops packets between a machine and
others, as a broken switch does: connections stay half open.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .layout import DATABASES, SENTINELS, Layout
from .part import Unhealthy

MACHINES = (*(f"db-{n}" for n in DATABASES), *(f"cache-{n}" for n in SENTINELS))
HERE = "here"
"""The machine of the nodes and the edge, in `cut`."""
_BRIDGE_HOST = 254
_NAMESPACES = Path("/run/netns")
_TIMEOUT = 20


class Network:
    """The network of one layout. Needs root. All methods are idempotent and raise Unhealthy if the system refuses."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._prefix = f"lr{layout.first_port}"
        """Return a name for an interface: at most 15 characters, and unique among the clusters on this kernel."""

    def up(self) -> None:
        if self._exists(self._prefix):
            return
        self._ip("link", "add", self._prefix, "type", "bridge")
        self._ip("addr", "add", f"{self._layout.subnet}.{_BRIDGE_HOST}/24", "dev", self._prefix)
        self._ip("link", "set", self._prefix, "up")
        for machine in MACHINES:
            self._add(machine)

    def down(self) -> None:
        """Remove bridge, links and namespaces; the processes in them must have ended."""
        for machine in MACHINES:
            if self._exists(self._link(machine)):
                self._ip("link", "del", self._link(machine))
            if (_NAMESPACES / self.namespace(machine)).exists():
                self._ip("netns", "del", self.namespace(machine))
        if self._exists(self._prefix):
            self._ip("link", "del", self._prefix)

    def namespace(self, machine: str) -> str:
        return f"{self._prefix}-{machine}"

    def inside(self, machine: str, user: str | None, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` on a machine as `user`, by exec, so the process id stays the same."""
        become = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] if user else []
        return ["/usr/sbin/ip", "netns", "exec", self.namespace(machine), *become, *command]

    def cut(self, machine: str, others: Iterable[str]) -> None:
        """Drop all packets between `machine` and `others`."""
        for other in others:
            address = f"{self._layout.subnet}.{_BRIDGE_HOST}" if other == HERE else self._layout.host_of(other)
            self._filter(machine, "-A", "INPUT", "-s", address, "-j", "DROP")
            self._filter(machine, "-A", "OUTPUT", "-d", address, "-j", "DROP")

    def heal(self) -> None:
        for machine in MACHINES:
            self._filter(machine, "-F")

    def _add(self, machine: str) -> None:
        link, space, address = self._link(machine), self.namespace(machine), self._layout.host_of(machine)
        self._ip("netns", "add", space)
        self._ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        self._ip("link", "set", link, "master", self._prefix, "up")
        self._ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        self._ip("-n", space, "link", "set", "eth0", "up")
        self._ip("-n", space, "link", "set", "lo", "up")

    def _link(self, machine: str) -> str:
        return self._prefix + machine.replace("db-", "d").replace("cache-", "c")

    def _exists(self, link: str) -> bool:
        return Path("/sys/class/net", link).exists()

    def _ip(self, *words: str) -> None:
        _run("/usr/sbin/ip", *words)

    def _filter(self, machine: str, *words: str) -> None:
        _run("/usr/sbin/ip", "netns", "exec", self.namespace(machine), "/usr/sbin/iptables", "-w", *words)


def _run(*command: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if finished.returncode:
        raise Unhealthy(f"{' '.join(command)}: {finished.stderr.strip()}")
