"""The caller of a request, and what the caller may do.

authenticate               the caller of a request or a token; authorisation by route
access_tokens              our own access tokens (Ed25519 JWTs); token_signature: their signature and that of others
external_tokens, issuers   tokens of external issuers, and the issuers' settings
jwks, refusal_log          the issuers' keys; why tokens were refused
keyring, secret_box        API keys; their secrets encrypted at rest
signatures, ticket_signer  signed bodies; action tickets
passwords                  argon2
"""
