"""The cost of Laurels on this machine; each figure stands beside its floor, the least that the same work can cost.

Figure and floor take turns within the same minute, because figures vary with the machine and its load: compare ratios.

    python -m bench                 all questions, writes bench/RESULTS.md
    python -m bench --only fanout   some of them, only prints
    python -m bench --smoke         tiny sizes: proves that the measurements work, says nothing about speed

A figure whose proof (ledger == standings == index) fails is not printed; the run ends with exit code 1.
"""

# questions/   one module per question; each returns rows of the table
# floors/      the least that the same work can cost
# peers/       the same work as usually written; installed only for the benchmarks
# load/        load generators: wrk, or one in Python; an open loop for latencies; sockets
# costs.py     the cost of each part of a complete
# simulation/  the service as a queueing model with those costs; simulate.py runs it
# stage.py     a PostgreSQL in a temporary folder, databases, users, real server processes
# proof.py     the proof after each write run
# measure.py   turns of figure and floor, medians and ranges
# machine.py   the machine of the run
# profile.py   where the time of one complete goes (docs/performance.md)
# report.py    the table; charts.py draws it; history.py compares it with the previous run
