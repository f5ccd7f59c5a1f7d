"""The index: a derived, disposable structure that answers ranks.

index        the questions every index answers, and their answers
memory       sorted lists in this process
sql          the same answers straight from the ledger, for proof and for bad days
redis        windows in Redis, for several nodes; lua/ holds its scripts, questions gathers what is asked at once
shared       Redis while it can be trusted, the ledger otherwise
projection   the only writer of the index in memory: committed batches, the journal, loading
shared_projection  the same for Redis: what was not brought is found, what is not whole is built anew (pouring)
replays      retried actions: confirmed to be in the index (confirmed) before they are acknowledged
shadows      boards as a shadowed user sees them
scoreboards  top lists with names, as ready bytes
archive      top lists of windows that are over
verify       index == ledger, or the drift
"""
