"""The service as a queueing model: throughput and latency at a rate, before machines are bought for it.

A discrete-event simulation. Each request passes through what the real one does: the node's one core, the bounded
queue, a lane, the statements of a batch, a flush that commits share, the index, the reply. The same seed gives the
same result. The costs are measured by `python -m bench.costs`.

model    costs, shape and load of a run, and its outcome
clock    simulated time: processes as generators, and the resources they wait for
service  nodes and the ledger, in those terms
run      arrivals, the tally, `simulate`
compare  measured runs beside simulated ones
"""

from .compare import Comparison, Measured, Run, compare
from .model import Costs, Load, Outcome, Shape, Unusable
from .run import simulate

__all__ = ["Comparison", "Costs", "Load", "Measured", "Outcome", "Run", "Shape", "Unusable", "compare", "simulate"]
