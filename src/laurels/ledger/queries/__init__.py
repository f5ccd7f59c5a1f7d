"""Reads that need no index.

user_actions    one user's rows, receipts and counters
score_history   a score, row by row
"""
