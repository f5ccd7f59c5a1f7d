"""Standings derived from the ledger's rows.

standings           reads of whole windows and of given users
refolding           folds one user's standings and counters again, under that user's lock
repair              finds and repairs standings that differ from the ledger
board_filler        folds into a new board what counted before it existed
snapshots           frozen top lists and users.rank
index_generations   which generation of the shared index counts
"""
