"""One function per endpoint: wire -> ledger or ranking -> wire. No rules and no SQL in here."""
