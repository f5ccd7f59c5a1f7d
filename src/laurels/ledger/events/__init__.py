"""What happened, written in the transaction that did it.

journal   commits that other processes must apply to their memory and index
audit     who changed what by hand, and why
"""
