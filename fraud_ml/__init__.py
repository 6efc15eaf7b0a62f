"""Retrain, approve and deploy insurance-fraud models. Read `fraud_ml/pipeline.py` first."""
