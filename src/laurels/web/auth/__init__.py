"""Who is calling, and what they may do.

authenticate      from a request or a token to a caller; authorisation by route
access_tokens     our own access tokens (Ed25519 JWTs)
external_tokens   tokens of external issuers; issuers and jwks: their settings and keys
keyring           API keys; secret_box: their secrets encrypted at rest; signatures: signed bodies
passwords         argon2; login_throttle: bounds on guessing
ticket_signer     action tickets
"""
