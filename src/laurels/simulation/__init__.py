"""The service as a queueing model: what happens at a rate, before anybody buys machines for it.

A discrete-event simulation. It follows each request through what the real one goes through: the node's one core, the
bounded queue, a lane, the statements of a batch, a flush that commits share, the index, the reply.
Nothing here knows the time of day, a network or a disk; the same seed gives the same answer.

model    what is put in (costs, shape, load) and what comes out
clock    simulated time: processes as generators, and what they wait for
service  nodes and the ledger, in those terms
run      arrivals, the tally, `simulate`
compare  a measured run beside what the model says of it

The costs are measured, by `python -m bench.costs`; `laurels simulate --compare` says how far the model is from it.
"""

from .compare import Comparison, Measured, Run, compare
from .model import Costs, Load, Outcome, Shape, Unusable
from .run import simulate

__all__ = ["Comparison", "Costs", "Load", "Measured", "Outcome", "Run", "Shape", "Unusable", "compare", "simulate"]
