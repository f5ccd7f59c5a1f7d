"""The index: a derived, disposable structure that answers ranks.

index        the questions every index answers, and their answers
memory       sorted lists in this process
sql          the same answers straight from the ledger, for proof and for bad days
projection   the only writer of the index: committed batches, the journal, loading
shadows      boards as a shadowed user sees them
scoreboards  top lists with names, as ready bytes
archive      top lists of windows that are over
verify       index == ledger, or the drift
"""
