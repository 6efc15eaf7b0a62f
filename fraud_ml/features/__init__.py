"""Features: accepted, mature, labelled claims become a training, a validation and a test window, by event time."""

from fraud_ml.features.split import build_windows

__all__ = ["build_windows"]
