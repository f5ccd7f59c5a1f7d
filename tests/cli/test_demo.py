"""`laurels demo`: simulated people, a board that moves, and what came of it."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server import LaurelsServer

from laurels.demo.people import invent_people, other_name
from laurels.domain.names import parse_name

from .commands import LAURELS, PATIENCE, answer, environment, laurels, until

KINDS = ["lesson", "quiz"]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[LaurelsServer]:
    """A node with the limit that laptops have, and tokens that end within the game."""
    server = LaurelsServer(database_url, tmp_path / "log", LAURELS_LOGIN_RATE="30", LAURELS_TOKEN_SECONDS="5")
    server.start()
    yield server
    server.stop()


def test_people_play_and_the_board_moves(server: LaurelsServer) -> None:
    """Awards and refusals are counted, tokens renewed, and whom the limit refuses waits to register."""
    told = answer("demo", "--url", server.url, "--people", "32", "--seconds", "6.5", "--rate", "60", "--seed", "1")
    assert told["healthy"] is True
    assert told["failed"] == {}
    assert told["people"] + told["not_let_in"] == 32
    assert told["people"] > 0  # how many depends on the machine: each costs the hash of a password
    assert told["sent"] == told["awarded"] + told["replayed"] + sum(told["refused"].values())
    assert told["awarded"] > 0
    assert told["latency_ms"]["p50"] <= told["latency_ms"]["p99"]
    board = server.get("/api/scoreboard")
    assert sum(row["score"] for row in server.get("/api/scoreboard?limit=100")["rows"]) == told["points"]
    assert told["top"] == board["rows"][:5]


def test_a_table_is_printed_and_ctrl_c_ends_the_game_with_it(server: LaurelsServer) -> None:
    """Long before its time, with exit code 0 and where to look."""
    command = [*LAURELS, "demo", "--url", server.url, "--people", "5", "--seconds", "600", "--rate", "50"]
    with subprocess.Popen(command, env=environment(), stdout=-1, stderr=-1, text=True) as playing:
        until(lambda: server.get("/api/scoreboard")["rows"], "a player scores")
        playing.send_signal(signal.SIGINT)
        said, complaints = playing.communicate(timeout=PATIENCE)
    assert (playing.returncode, complaints) == (0, "")
    assert "Interrupted" in said
    assert "awarded" in said
    assert server.get("/api/scoreboard")["rows"][0]["username"] in said
    assert f"The board is at {server.url}/" in said


def test_cheaters_are_held_and_honest_people_are_not(database_url: str, tmp_path: Path) -> None:
    """Told for each kind; what is held is on no board, and waits for a review."""
    server = LaurelsServer(database_url, tmp_path / "log", LAURELS_HOLD_USER_RATE="12")
    server.start()
    game = ("--people", "12", "--seconds", "8", "--rate", "2", "--seed", "1", "--cheaters", "0.25")
    told = answer("demo", "--url", server.url, *game)
    board = server.get("/api/scoreboard?limit=100")
    server.stop()
    groups = told["groups"]
    assert (groups["honest"]["people_held"], groups["honest"]["held"]) == (0, 0)
    assert groups["flood"]["people_held"] == 1
    assert groups["flood"]["before_held"] <= 24  # the minute may turn meanwhile
    assert told["held"] == sum(group["held"] for group in groups.values())
    assert sum(row["score"] for row in board["rows"]) == told["points"]


def test_what_listens_may_be_something_else() -> None:
    """A port where no Laurels answers is one line too."""
    done = laurels("demo", "--url", "ftp://127.0.0.1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_names_are_good_and_distinct() -> None:
    """Every name is one that the service takes, however many people play; suffixes keep it so."""
    chance = random.Random(1)
    people = invent_people(5_000, KINDS, chance)
    names = [person.name for person in people]
    assert len({parse_name(name).fold for name in names}) == len(names)
    assert parse_name(other_name(other_name(names[0], chance), chance))


def test_the_same_seed_gives_the_same_people() -> None:
    """So that a demo can be shown twice."""
    once, twice = (invent_people(40, KINDS, random.Random(7)) for _ in range(2))
    assert [(p.name, p.pace, p.taste) for p in once] == [(p.name, p.pace, p.taste) for p in twice]
    assert once[0].password != twice[0].password


def test_form_comes_and_goes() -> None:
    """The same person is likelier now and less likely then: that is what makes places change."""
    chance = random.Random(3)
    person = invent_people(1, KINDS, chance)[0]
    assert len({person.weight(second, chance) for second in range(300)}) == 3
