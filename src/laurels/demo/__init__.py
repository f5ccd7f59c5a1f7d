"""`laurels demo`: simulated people play through the public HTTP API, as any client would.

people        their names, skill, and a form that changes, so that places on the board change hands
cheaters      people who cheat, so that the detectors can be measured
client        their HTTP calls
registration  people register, a few at once, while others already play
play          the game: who acts when, as a Poisson process
tally         counts while the game runs, and the tables at its end
"""

from .client import NoServer
from .play import Plan, run
from .tally import DemoTally

__all__ = ["DemoTally", "NoServer", "Plan", "run"]
