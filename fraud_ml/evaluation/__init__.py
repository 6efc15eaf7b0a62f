"""Evaluation: the chosen model meets the frozen test window, the gates judge it, and the candidate is sealed."""

from fraud_ml.evaluation.candidate import judge_candidate

__all__ = ["judge_candidate"]
