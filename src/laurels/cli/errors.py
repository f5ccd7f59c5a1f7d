"""The error that ends a command."""

from __future__ import annotations


class CommandFailed(Exception):
    """A command can't be carried out; the message is the line that the operator reads."""
