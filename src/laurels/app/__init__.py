"""The use cases, each written once. HTTP, WebSocket and command line decode and encode; the decisions are here.

context, admin_context   the parts that each group of use cases works with: of users; of operators
actions, submissions     starting and completing actions; a sent action validated for the ledger
receipts, action_types   the answer to an action, at once and later; the types that can be completed
boards, people, own_data tops, neighbours, ranks, ended windows; public profiles; a user's own rows and export
accounts, login_audit    registration, log-in, passwords, erasure; log-ins in the log and the audit trail
users, api_keys          accounts and keys of servers as operators change them
catalogue, settings      action types and boards; settings that change while nodes run, and the audit trail
fairness, proof          reviews, corrections, erasure; proof and repair of the index;  transfer/  import and export
"""
