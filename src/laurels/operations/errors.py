"""What keeps a command from being carried out."""


class CommandFailed(Exception):
    """What was asked can't be done; the message is the operator's line."""
