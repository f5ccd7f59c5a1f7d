"""The rules of the service as pure code: no I/O, no clock, no await.

actions, judgement    submissions and receipts; a batch of submissions and its facts in, outcomes and rows out
rules, detectors      which actions count and what they are worth; which ones are held for review
boards, calendars, standings, refold   windows of boards, a user's folded value in one, and the order key that ranks it
board_summary         one sentence that tells people what a board ranks
tickets, metadata, instants            parts of a submission, in the form that the ledger stores
names, confusables, invisible, email   which usernames are allowed and which look alike; e-mail addresses
authorization, errors                  which operator may act on which account; every refusal, by stable code
strict_json, schema_hints, wording     decoding without surprises; messages to people
"""
