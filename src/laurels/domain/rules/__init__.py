"""Scoring rules: a pure function for each rule, with a line in a registry.

document   `scoring_rules` as operators write it: strict, versioned, refused with the path of the error
progress   the counters of one user and action type
attempt    one action as the rules see it
checks     rules that refuse an action (CHECKS), in the order in which they run
worth      rules that change the score (BONUSES)

To add a rule, give `ScoringRules` a member and write its function and registry line. Its input goes into `Attempt`.
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
