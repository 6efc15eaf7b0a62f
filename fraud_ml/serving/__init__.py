"""Serving: a scorer that keeps one live model for each dataset, obeys promotions, and scores claims over HTTP."""

from fraud_ml.serving.server import run_scorer

__all__ = ["run_scorer"]
