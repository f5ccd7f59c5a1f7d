"""Shipping of logs: index template, lifecycle policy, and the configurations of shippers."""
