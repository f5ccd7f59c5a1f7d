"""Concurrency building blocks, each written once. They know nothing of the service but its metrics.

backoff           pauses that double up to a bound
batcher           reads of many callers sent in one call
bounded_dict      a dict of at most so many entries; the oldest are dropped
bulkhead          at most so many run at once and so many wait; the next caller is refused
circuit_breaker   stops calling a server that does not answer, and probes it with one call at a time
periodic          repeat work with a pause
read_through      a bounded cache by version, with one loader per key
single_flight     shares one call among concurrent callers
"""
