"""Concurrency building blocks, each written once. They know nothing of the service but its metrics.

read_through      a bounded cache by version, with one loader per key
single_flight     of many concurrent callers one does the work
circuit_breaker   stops calling a server that does not answer, and probes it with one call at a time
"""
