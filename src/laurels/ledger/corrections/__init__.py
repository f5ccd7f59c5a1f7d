"""Corrections by hand: rows that reverse or add.

corrections   reversals and adjustments
review        held actions: approve, reject
"""
