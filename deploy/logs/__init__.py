"""Shipping of logs: index template, lifecycle policy, and the configurations of shippers.

prepare  installs template and policy in a search engine
engine/  a search engine on loopback for the tests, in Java
"""
