"""The use cases, each written once: HTTP, WebSocket and the commands call it.

Entry points decode, call a function of this package and encode what it returns; `ledger`, `ranking` and `live` do the
work. Nothing here knows about HTTP, flags or settings of the environment.

Of users:
context        what each group of use cases works with
actions        starting and completing actions, as a user or as a server
submissions    an action as it was sent, validated and turned into what the ledger judges
receipts       what answers a completed action, at once and later
action_types   the action types that can be completed
boards         tops, neighbours, ranks and ended windows
people         public profiles
accounts       registration, log-in, passwords, erasure;  login_audit: log-ins in the log and the audit trail
own_data       what users read of their own account

Of operators, over HTTP and from the command line:
admin_context  the opened ledger with its editors
users          accounts: list, create, sanction, role, password, end of sessions
catalogue      action types and boards: list, create, edit, archive, dry run
fairness       reviews, reversals, adjustments, a score explained row by row, erasure
api_keys       API keys of servers: create, list, rotate, revoke
settings       settings that change while nodes run, and the audit trail
proof          prove that ledger, standings and index agree; repair; snapshots
transfer/      import and export of users, action types and the ledger as files
"""
