"""The error that ends an import or export."""


class TransferError(Exception):
    """A file can't be read or written; the message says where and what to do."""
