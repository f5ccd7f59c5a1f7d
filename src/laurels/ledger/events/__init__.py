"""Records of changes, written in the transaction of the change.

journal      commits that other processes must apply to their memory and index
propagation  wait until all nodes have applied the journal
audit        changes by hand: who made them, and why
"""
