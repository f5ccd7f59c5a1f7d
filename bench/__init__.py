"""What Laurels costs on this machine, each figure beside its floor.

A figure alone says little: it moves with the machine, with what else runs on it, and with the mood of
its clock. So every question here runs in the same minute as a floor (the least that the same work can
cost with these parts) and the two take turns. The ratio is what should be compared between machines.

    python -m bench                 all questions, writes bench/RESULTS.md
    python -m bench --only fanout   some of them, prints only
    python -m bench --smoke         tiny sizes: proves that the measurements work, says nothing of speed

The rooms:
    questions/   one module per question; each yields rows of the table
    floors/      the least the same work can cost
    peers/       the same work as most would write it, installed only when the bench is asked for
    load/        who asks: wrk, or a generator in Python where there is none; on a timetable for latencies; sockets
    costs.py     what each part of a complete takes
    simulation/  the service as a queueing model with those costs;  simulate.py asks it
    stage.py     a PostgreSQL of its own in a temporary folder, databases, users, a real server process
    proof.py     after each write run: ledger == standings == index, or the run fails
    measure.py   turns of figure and floor, medians and ranges
    machine.py   what it ran on
    profile.py   where the time of one complete goes (docs/performance.md)
    report.py    the table; charts.py draws it; history.py compares it with the run before

A figure whose proof fails is not printed; the run ends with exit code 1.
"""
