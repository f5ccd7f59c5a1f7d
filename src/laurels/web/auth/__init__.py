"""Who is calling, and what they may do.

authenticate      the caller of a request or a token; authorisation by route
access_tokens     our own access tokens (Ed25519 JWTs)
external_tokens   tokens of external issuers
issuers, jwks     their settings and keys
refusal_log       why tokens were refused
token_signature   the signature of either
keyring           API keys; secret_box: their secrets encrypted at rest; signatures: signed bodies
passwords         argon2
login_audit       log-ins in the log and the audit trail
ticket_signer     action tickets
"""
