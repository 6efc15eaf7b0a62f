"""Which models exist, and what each was made from: MLflow runs, logged models and registered versions.

The one owner of mlflow. MLflow shows and links; what was approved and deployed is the ledger's to say, and the alias
`champion` is its projection.
"""

from fraud_ml.registry.champion import set_champion
from fraud_ml.registry.evidence import read_evidence
from fraud_ml.registry.registration import Registered, model_name, register
from fraud_ml.registry.trials import TrialLog, TrialRun

__all__ = ["Registered", "TrialLog", "TrialRun", "model_name", "read_evidence", "register", "set_champion"]
