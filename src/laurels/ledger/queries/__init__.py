"""Reads that need no index.

readers         one user's rows, receipts and counters
score_history   a score, row by row
"""
