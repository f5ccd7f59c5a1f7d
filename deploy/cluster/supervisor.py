"""Starts, asks and stops parts. It holds no state of its own: what runs is what the pid files and the system say."""

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
from .part import Part, Stage, Unwell
from .shape import parts, stages

POLL_SECONDS = 0.2
KILL_SECONDS = 10.0
LOOKERS = 16

Told = Callable[[str], None]
"""Hears, in words, what is being done."""


class Failed(Exception):
    """A part did not start, or did not stop; the message is what the operator sees."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One part at one moment. `memory` in bytes."""

    name: str
    layer: str
    address: str
    healthy: bool
    state: str
    memory: int


class Supervisor:
    def __init__(self, layout: Layout, told: Told = lambda words: None) -> None:
        self.layout = layout
        self.network = Network(layout)
        self._told = told

    def up(self) -> None:
        """Start everything that does not run, in order. Raises Failed."""
        if self.layout.apart:
            self._open_network()
        for stage in stages(self.layout):
            self.run(stage)

    def _open_network(self) -> None:
        try:
            self.network.up()
        except (OSError, Unwell) as error:
            raise Failed(f"network between the machines: {error}") from error

    def run(self, stage: Stage) -> None:
        """Start the parts of one stage, wait until all are healthy, then do what follows."""
        for part in stage.parts:
            self.launch(part)
        self.wait_for(stage.parts)
        for step in stage.then:
            self._told(step.name)
            try:
                step.work()
            except Unwell as error:
                raise Failed(f"{step.name}: {error}") from error

    def launch(self, part: Part) -> None:
        """Start a part unless it runs; does not wait for its health."""
        pid_file = self._pid_file(part)
        if processes.leader(pid_file) is not None:
            return
        self._told(f"start {part.name}")
        try:
            part.prepare()
        except (OSError, Unwell) as error:
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
        """Raises Failed with the last words of the first part that isn't healthy in time."""
        for part in wanted:
            deadline = time.monotonic() + part.start_seconds
            while (seen := self.look(part)) and not seen.healthy:
                if processes.leader(self._pid_file(part)) is None:
                    raise Failed(f"{part.name} ended: {self.last_words(part)}")
                if time.monotonic() > deadline:
                    raise Failed(f"{part.name} is not healthy after {part.start_seconds:.0f} s: {seen.state}")
                time.sleep(POLL_SECONDS)

    def look(self, part: Part) -> Seen:
        family = self.family(part)
        try:
            state, healthy = part.look(), True
        except (Unwell, OSError, ValueError, KeyError) as error:
            state, healthy = str(error) if family else self._why_not(part), False
        return Seen(part.name, part.layer, part.address, healthy, state, processes.memory(family))

    def has_ended(self, part: Part) -> bool:
        """Did it end by itself? Who was stopped by command is not remembered any more."""
        return self._pid_file(part).exists() and processes.leader(self._pid_file(part)) is None

    def revive(self, part: Part) -> None:
        """Start a part that has ended, after what is left of its session; `strays` live on, and are found again."""
        processes.kill(processes.family(self._pid_file(part)), KILL_SECONDS)
        self.launch(part)

    def _why_not(self, part: Part) -> str:
        return f"has ended: see {self.layout.log(part.name)}" if self.has_ended(part) else "not running"

    def look_at_all(self) -> list[Seen]:
        with ThreadPoolExecutor(LOOKERS) as lookers:
            return list(lookers.map(self.look, parts(self.layout)))

    def part(self, name: str) -> Part:
        """Raises Failed for a name that no part has."""
        for part in parts(self.layout):
            if part.name == name:
                return part
        raise Failed(f"there is no part {name!r}: `status` lists them")

    def family(self, part: Part) -> list[psutil.Process]:
        return processes.family(self._pid_file(part), part.strays())

    def stop(self, part: Part, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask a part to stop, and kill what is left of it in the end. Raises Failed when something survives."""
        leader = processes.leader(self._pid_file(part))
        if leader is not None:
            processes.send([leader], number)
            psutil.wait_procs([leader], timeout=part.stop_seconds)
        self.kill(part)

    def kill(self, part: Part) -> None:
        """SIGKILL to every process of a part at once. Raises Failed when something survives."""
        processes.kill(self.family(part), KILL_SECONDS)
        if left := self.family(part):
            raise Failed(f"{part.name}: {len(left)} processes can't be ended ({', '.join(str(p.pid) for p in left)})")
        self._pid_file(part).unlink(missing_ok=True)

    def signal(self, part: Part, number: signal.Signals) -> None:
        """To every process of a part: SIGSTOP freezes it, SIGCONT thaws it."""
        processes.send(self.family(part), number)

    def down(self, *, keep: bool = False) -> None:
        """Stop everything, last started first, and remove the folder unless its data is to be kept."""
        for stage in reversed(stages(self.layout)):
            self._stop_all(stage.parts)
        if self.layout.apart:
            self.network.down()
        if not keep and self.layout.folder.exists():
            shutil.rmtree(self.layout.folder)

    def _stop_all(self, doomed: Sequence[Part]) -> None:
        running = [part for part in doomed if self.family(part)]
        for part in running:
            self._told(f"stop {part.name}")
        if running:
            with ThreadPoolExecutor(len(running)) as workers:
                list(workers.map(self.stop, running))

    def _pid_file(self, part: Part) -> Path:
        return self.layout.folder / "run" / f"{part.name}.pid"

    def last_words(self, part: Part) -> str:
        lines = self.layout.log(part.name).read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])[-600:] or "it said nothing"
