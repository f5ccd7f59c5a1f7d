"""The fault matrix: load through the edge, one thing broken and mended, a checker that trusts what clients saw.

load.py      players that retry what is unknown under the same identifier; viewers that write down every frame
checker.py   decides from those records and the ledger whether a promise was broken
scene.py     what a row runs on, and its verbs: kill, freeze, stop, start
matrix.py    the rows: what is broken, for how long, and how long nothing may be acknowledged
__main__.py  `python -m tests.faults`: all rows on the whole cluster, written to docs/faults.md
"""
