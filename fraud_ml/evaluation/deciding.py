"""Passed, failed or undecided: what an interval says about a limit.

A figure passes when its whole interval keeps the limit, fails when its whole interval breaks it, and is undecided where
the interval holds the limit: then these claims are too few to tell.
"""

from fraud_ml.artifacts import Outcome
from fraud_ml.evaluation.bootstrap import Interval


def at_least(found: Interval | None, limit: float) -> Outcome:
    """Judge a figure that must reach `limit`. A figure that does not exist is undecided."""
    if found is None:
        return Outcome.UNDECIDED
    if found.low >= limit:
        return Outcome.PASSED
    return Outcome.FAILED if found.high < limit else Outcome.UNDECIDED


def at_most(found: Interval | None, limit: float) -> Outcome:
    """Judge a figure that must not exceed `limit`. A figure that does not exist is undecided."""
    if found is None:
        return Outcome.UNDECIDED
    if found.high <= limit:
        return Outcome.PASSED
    return Outcome.FAILED if found.low > limit else Outcome.UNDECIDED


def worst(*outcomes: Outcome) -> Outcome:
    """Return failed where one failed, else undecided where one is, else passed."""
    for outcome in (Outcome.FAILED, Outcome.UNDECIDED):
        if outcome in outcomes:
            return outcome
    return Outcome.PASSED


def told(found: Interval | None) -> str:
    """Return the figure with its interval, for a finding."""
    return "undefined" if found is None else str(found)
