"""Simulated people."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .errors import CommandFailed
from .flags import JsonFlag, Positive, examples
from .output import out, print_json
from .process import run

demo_app = App(
    name="demo",
    help_epilogue=examples(
        "laurels demo",
        "laurels demo --people 200 --rate 100 --seconds 30",
        "laurels demo --people 60 --rate 20 --seconds 120 --cheaters 0.2",
        "laurels demo --url https://laurels.example --json",
    ),
)


@demo_app.default
def demo(
    *,
    url: str | None = None,
    people: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 40,
    rate: Positive = 25.0,
    seconds: Positive = 60.0,
    cheaters: Annotated[float, Parameter(validator=Number(gte=0, lte=0.9))] = 0.0,
    seed: int | None = None,
    json: JsonFlag = False,
) -> int:
    """Play simulated people through the public HTTP API, so that the board visibly moves.

    They register and complete actions. Ctrl-C ends the game early and prints the table. Exit code 1 when no action was
    awarded, or one failed permanently.

    Parameters
    ----------
    url
        The node's address; by default that of LAURELS_HOST and LAURELS_PORT.
    people
        How many play. They join as fast as the server lets them register.
    rate
        Actions a second of all players together, as a Poisson process.
    seconds
        How long they play.
    cheaters
        The share of the people who cheat: with a flood, like a metronome, or always with the best result. The table
        then shows how many of each kind were held, and how many honest ones.
    seed
        The same seed gives the same names and habits.
    """
    from .. import config

    play = _demo()
    plan = play.Plan(url or config.load().url, people, rate, seconds, seed, cheaters)
    try:
        tally = run(play.run(plan, None if json else out))
    except play.NoServer as error:
        raise CommandFailed(str(error)) from error
    if json:
        print_json(tally.summary())
    return 0 if tally.healthy else 1


def _demo() -> ModuleType:
    """Import the demo, which no other command needs. Raises CommandFailed where the client is not installed."""
    try:
        from .. import demo
    except ModuleNotFoundError as error:
        if error.name != "laurels_client":
            raise
        raise CommandFailed("the demo plays through the Python client: pip install ./clients/python") from error
    return demo
