"""Rows that undo or add by hand.

corrections   reversals and adjustments
review        held actions: approve, reject
"""
