"""What Laurels knows without asking anybody: no I/O, no clock, no await.

errors      every refusal the service can speak, by stable code
names       which usernames are allowed, and which look alike
email       what an e-mail address looks like
wording     English in sentences that are put together
boards      a ranking's order, aggregate, ties and calendar windows
standings   one user's folded value in one window, and the order key that ranks it
rules       what may count: one pure function per rule, in one registry
actions     submissions, receipts and what the ledger knows of a user
judgement   a batch of submissions and the facts about them in, rows to write out
"""
