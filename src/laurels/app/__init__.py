"""The use cases, each written once. HTTP, WebSocket and command line decode and encode; the decisions are here.

context                  the parts that each group of use cases works with
actions, submissions     starting and completing actions; a sent action validated for the ledger
receipts, action_types   the answer to an action, at once and later; the types that can be completed
boards, people           tops, neighbours, ranks and ended windows; public profiles
accounts, login_audit    registration, log-in, passwords, erasure; log-ins in the log and the audit trail
own_data                 a user's own rows, recent actions and export
"""
