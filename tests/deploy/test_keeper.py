"""Parts that end by themselves are restarted; parts that were stopped stay down."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.cluster.keeper import FIRST_SECONDS, Keeper
from deploy.cluster.layout import Layout
from deploy.cluster.part import Part
from deploy.cluster.supervisor import Supervisor
from tests.support.polling import soon

SLEEPER = Part("sleeper", "nodes", "", ("/bin/sh", "-c", "echo good night; exec sleep 60"), check=lambda: "asleep")


class Watch:
    """A keeper whose clock is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000.0
        self.told: list[str] = []
        self.supervisor = Supervisor(Layout(folder))
        self.supervisor.layout.place("run")
        self.keeper = Keeper(self.supervisor, [SLEEPER], self.told.append, clock=lambda: self.now)

    def runs(self) -> bool:
        return bool(self.supervisor.family(SLEEPER))

    def crash(self) -> None:
        """End it behind the supervisor's back."""
        (leader,) = self.supervisor.family(SLEEPER)
        leader.send_signal(signal.SIGKILL)
        soon(lambda: self.supervisor.has_ended(SLEEPER), bool, within=10)

    def look(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.keeper.restart_ended()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    watch.supervisor.launch(SLEEPER)
    soon(lambda: "good night" in watch.supervisor.last_words(SLEEPER), bool, within=10)
    yield watch
    watch.supervisor.kill(SLEEPER)


def test_what_ends_by_itself_is_started_again_and_said(watch: Watch) -> None:
    watch.crash()
    watch.look()
    assert watch.told == ["sleeper has ended and will be restarted in 1 s. Its last output: good night"]
    watch.look(FIRST_SECONDS)
    assert watch.runs()


def test_what_ends_again_and_again_is_started_ever_later(watch: Watch) -> None:
    for pause in (1, 2, 4):
        watch.crash()
        watch.look()
        watch.look(pause - 0.5)
        assert not watch.runs()
        watch.look(0.5)
        assert watch.runs()


def test_what_was_stopped_by_command_stays_down(watch: Watch) -> None:
    watch.supervisor.stop(SLEEPER)
    watch.look()
    watch.look(600)
    assert not watch.runs()
    assert watch.told == []
