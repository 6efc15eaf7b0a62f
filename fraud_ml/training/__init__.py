"""Training: every configured family learns from the same windows; the best on validation becomes the candidate."""

from fraud_ml.training.train import fit_families

__all__ = ["fit_families"]
