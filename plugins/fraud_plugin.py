"""What Airflow loads from this folder: the plugin that serves reports of retraining runs."""

from fraud_airflow.plugin import FraudPlugin

__all__ = ["FraudPlugin"]
