"""What may count and what it is worth: one pure function per rule, one line each in a registry.

document   `scoring_rules` as operators write it: strict, versioned, refused with the path that is wrong
progress   what one user has done of one action type: the counters that rules look at
checks     rules that refuse (CHECKS), in the order in which they are asked
worth      rules that change the score (BONUSES)

To add a rule: give `ScoringRules` a member in `document`, write a function in `checks` or `worth`, add its
line to the registry there. What it must know goes into `Attempt`.
"""

from __future__ import annotations

from .attempt import Attempt
from .checks import CHECKS, Check, checks_for, first_refusal, rule_of
from .document import Member, ScoringRules, TicketRule, check_rules, parse_rules
from .progress import Progress
from .worth import BONUSES, explain, score

__all__ = [
    "BONUSES",
    "CHECKS",
    "Attempt",
    "Check",
    "Member",
    "Progress",
    "ScoringRules",
    "TicketRule",
    "check_rules",
    "checks_for",
    "explain",
    "first_refusal",
    "parse_rules",
    "rule_of",
    "score",
]
