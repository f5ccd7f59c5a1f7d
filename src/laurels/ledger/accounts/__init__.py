"""People and servers with an account.

accounts      users, passwords, refresh tokens, signing keys
api_keys      keys of servers
directory     names for ids and ids for names, cached; who is banned or shadowed
people        public search, profile and history
user_editor   what operators see and change of a user
sanctions     ban, shadow ban, lift
erasure       a person's data: export and erase
nonces        nonces of signed bodies that were used
"""
