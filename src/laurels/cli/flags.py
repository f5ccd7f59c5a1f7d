"""Flags that several commands share, and examples in their help."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

JsonFlag = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]


def _check_reason(_: object, reason: str | None) -> None:
    """Raise ValueError for a reason that the API would refuse."""
    if reason is None:
        return
    import msgspec  # not needed for the help

    from ..web.fields import Reason

    try:
        msgspec.convert(reason, Reason)
    except msgspec.ValidationError:
        raise ValueError("a reason has 1 to 500 characters, none of them a control character.") from None


RequiredReason = Annotated[str, Parameter(name="--reason", validator=_check_reason, help="Why, for the audit trail.")]
ReasonFlag = Annotated[
    str | None, Parameter(name="--reason", validator=_check_reason, help="Why, for the audit trail.")
]
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=100_000), help="The most rows to list.")]
Positive = Annotated[float, Parameter(validator=Number(gt=0, lte=1_000_000))]
NodeFlag = Annotated[
    str | None, Parameter(help="Address of the node to ask; by default LAURELS_HOST and LAURELS_PORT.")
]


def examples(*lines: str) -> str:
    """Return the end of a command's help."""
    return "Examples:\n\n" + "\n".join(f"* `{line}`" for line in lines)
