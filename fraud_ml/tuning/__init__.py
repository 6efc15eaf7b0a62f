"""Tuning: which settings of a family serve later claims best, found inside a budget; the test window is never read."""

from fraud_ml.tuning.proposal import proposed
from fraud_ml.tuning.search import Budget, Trial, TrialState, Tuned, current_settings
from fraud_ml.tuning.tune import tunable_families, tune

__all__ = [
    "Budget",
    "Trial",
    "TrialState",
    "Tuned",
    "current_settings",
    "proposed",
    "tunable_families",
    "tune",
]
