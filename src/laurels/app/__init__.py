"""The use cases, each written once. HTTP, WebSocket and command line decode and encode; what happens is decided here.

context       what each group of use cases works with
actions       starting and completing actions, as a user or as a server
submissions   an action as it was sent, validated and turned into what the ledger judges
receipts      what answers a completed action, at once and later
action_types  the action types that can be completed
boards        tops, neighbours, ranks and ended windows
people        public profiles
accounts      registration, log-in, passwords, erasure;  login_audit: log-ins in the log and the audit trail
own_data      what users read of their own account
"""
