"""`laurels demo`: simulated people play through the public HTTP API, as any client would.

people  who they are: pleasant names, skill, and a form that comes and goes, so that places change hands
client  how they speak: the same identifier until the outcome is known, waits as long as it is told to
cheaters  those who cheat, so that the detectors can be measured
play    the evening: people arrive while others already play; actions come as a Poisson process
tally   what came of it
"""

from .client import NoServer
from .play import Plan, run
from .tally import DemoTally

__all__ = ["DemoTally", "NoServer", "Plan", "run"]
