"""The service as a queueing model: throughput and latency at a rate, before machines are bought for it.

A discrete-event simulation. Each request takes the path of a real one: the node's one core, the bounded queue, a lane,
the statements of a batch, a flush that commits share, the index, the reply. The same seed gives the same result.

model    costs (measured by `python -m bench.costs`), shape and load of a run, and its outcome
clock    simulated time: processes as generators, and the resources they wait for
service  nodes and the ledger in those terms
run      arrivals, the tally, `simulate`
compare  measured and simulated runs
"""

from .compare import Comparison, Measured, Run, compare
from .model import Costs, Load, Outcome, Shape, Unusable
from .run import simulate

__all__ = ["Comparison", "Costs", "Load", "Measured", "Outcome", "Run", "Shape", "Unusable", "compare", "simulate"]
