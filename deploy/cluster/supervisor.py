"""Start, check and stop parts. The supervisor has no state: pid files and the system say what is running."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import processes
from .layout import Layout
from .network import Network
from .part import Part, Stage, Unhealthy
from .shape import parts, stages

POLL_SECONDS = 0.2
KILL_SECONDS = 10.0
LOOKERS = 16

Report = Callable[[str], None]
"""Receives progress messages."""


class Failed(Exception):
    """A part did not start, or did not stop; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """The state of one part at one moment. `memory` in bytes."""

    name: str
    layer: str
    address: str
    healthy: bool
    state: str
    memory: int


class Supervisor:
    def __init__(self, layout: Layout, report: Report = lambda words: None) -> None:
        self.layout = layout
        self.network = Network(layout)
        self._report = report

    def up(self) -> None:
        """Start every part that is not running, in order. Raises Failed."""
        if self.layout.apart:
            self._open_network()
        for stage in stages(self.layout):
            self.run(stage)

    def _open_network(self) -> None:
        try:
            self.network.up()
        except (OSError, Unhealthy) as error:
            raise Failed(f"network between the machines: {error}") from error

    def run(self, stage: Stage) -> None:
        """Start the parts of one stage, wait until all are healthy, then run its final steps."""
        for part in stage.parts:
            self.launch(part)
        self.wait_for(stage.parts)
        for step in stage.then:
            self._report(step.name)
            try:
                step.work()
            except Unhealthy as error:
                raise Failed(f"{step.name}: {error}") from error

    def launch(self, part: Part) -> None:
        """Start a part unless it is running; do not wait for its health."""
        pid_file = self._pid_file(part)
        if processes.leader(pid_file) is not None:
            return
        self._report(f"start {part.name}")
        try:
            part.prepare()
        except (OSError, Unhealthy) as error:
            raise Failed(f"{part.name}: {error}") from error
        command, user = part.command, part.user
        if part.machine:
            command, user = self.network.inside(part.machine, user, command), None
        processes.launch(
            command,
            user=user,
            log=self.layout.log(part.name),
            pid_file=pid_file,
            environment=part.environment,
            folder=self.layout.folder,
        )

    def wait_for(self, wanted: Iterable[Part]) -> None:
        """Wait until the parts are healthy. Raises Failed with the last output of the first one that is not in time."""
        for part in wanted:
            deadline = time.monotonic() + part.start_seconds
            while (seen := self.check(part)) and not seen.healthy:
                if processes.leader(self._pid_file(part)) is None:
                    raise Failed(f"{part.name} ended: {self.last_words(part)}")
                if time.monotonic() > deadline:
                    raise Failed(f"{part.name} is not healthy after {part.start_seconds:.0f} s: {seen.state}")
                time.sleep(POLL_SECONDS)

    def check(self, part: Part) -> PartStatus:
        family = self.family(part)
        try:
            state, healthy = part.check(), True
        except (Unhealthy, OSError, ValueError, KeyError) as error:
            state, healthy = str(error) if family else self._why_not(part), False
        return PartStatus(part.name, part.layer, part.address, healthy, state, processes.memory(family))

    def has_ended(self, part: Part) -> bool:
        """Return whether a part ended by itself. A part that was stopped by command has no record any more."""
        return self._pid_file(part).exists() and processes.leader(self._pid_file(part)) is None

    def revive(self, part: Part) -> None:
        """Restart a part that has ended, after killing the rest of its session; `strays` survive."""
        processes.kill(processes.family(self._pid_file(part)), KILL_SECONDS)
        self.launch(part)

    def _why_not(self, part: Part) -> str:
        return f"has ended: see {self.layout.log(part.name)}" if self.has_ended(part) else "not running"

    def check_all(self) -> list[PartStatus]:
        with ThreadPoolExecutor(LOOKERS) as threads:
            return list(threads.map(self.check, parts(self.layout)))

    def part(self, name: str) -> Part:
        """Return the part of a name. Raises Failed if there is none."""
        for part in parts(self.layout):
            if part.name == name:
                return part
        raise Failed(f"there is no part {name!r}: `status` lists them")

    def family(self, part: Part) -> list[psutil.Process]:
        return processes.family(self._pid_file(part), part.strays())

    def stop(self, part: Part, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask a part to stop, and finally kill what is left of it. Raises Failed if a process survives."""
        leader = processes.leader(self._pid_file(part))
        if leader is not None:
            processes.send([leader], number)
            psutil.wait_procs([leader], timeout=part.stop_seconds)
        self.kill(part)

    def kill(self, part: Part) -> None:
        """Send SIGKILL to every process of a part at once. Raises Failed if a process survives."""
        processes.kill(self.family(part), KILL_SECONDS)
        if left := self.family(part):
            raise Failed(f"{part.name}: {len(left)} processes can't be killed ({', '.join(str(p.pid) for p in left)})")
        self._pid_file(part).unlink(missing_ok=True)

    def signal(self, part: Part, number: signal.Signals) -> None:
        """Send a signal to every process of a part: SIGSTOP freezes it, SIGCONT thaws it."""
        processes.send(self.family(part), number)

    def down(self, *, keep: bool = False) -> None:
        """Stop all parts in reverse start order, and remove the folder unless `keep`."""
        for stage in reversed(stages(self.layout)):
            self._stop_all(stage.parts)
        if self.layout.apart:
            self.network.down()
        if not keep and self.layout.folder.exists():
            shutil.rmtree(self.layout.folder)

    def _stop_all(self, doomed: Sequence[Part]) -> None:
        running = [part for part in doomed if self.family(part)]
        for part in running:
            self._report(f"stop {part.name}")
        if running:
            with ThreadPoolExecutor(len(running)) as workers:
                list(workers.map(self.stop, running))

    def _pid_file(self, part: Part) -> Path:
        return self.layout.folder / "run" / f"{part.name}.pid"

    def last_words(self, part: Part) -> str:
        lines = self.layout.log(part.name).read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])[-600:] or "it said nothing"
