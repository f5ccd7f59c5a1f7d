"""The fault matrix: load through the edge, one thing broken and mended, a checker that trusts what clients saw.

load.py      players that retry what is unknown under the same identifier; viewers that write down every frame
checker.py   decides from those records and the ledger whether a promise was broken
resources.py memory, open files, locks and transactions: after a row as before it
scene.py     what a row runs on, and its verbs: kill, freeze, stop, start, cut; small.py: two nodes and a wire
row.py       what a row is: a fault, how long it lasts, and how long nothing may be acknowledged because of it
matrix.py    the rows of the whole cluster; partitions.py: those that cut networks
wire.py      the rows of the wire to the database; disk.py: the full disk
__main__.py  `python -m tests.faults`: all rows, written to docs/faults.md
"""
