"""Accounts of people and servers.

accounts      users, passwords, signing keys
sessions      log-ins: refresh tokens, and how they end
revocations   access tokens that ended before their time, in memory
api_keys, nonces   keys of servers, and the nonces of bodies they signed
directory, people   names for ids and ids for names, cached; public search, profile and history
user_editor, sanctions, erasure   operators list and change users, ban them; a person's data is exported or erased
name_guard, name_keys   names similar to privileged ones; recomputed keys of names
bootstrap     default boards, keys and samples of an empty ledger
"""
