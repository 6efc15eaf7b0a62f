"""The bridge to Airflow: `dvc.yaml` as a task group, commands as tasks, the ledger's answers as waits.

Read `stages.py` first. Of fraud_ml only errors, settings, artifacts, ledger, messaging and objects are imported
here; work is done by `python -m dvc` and `python -m fraud_ml`, in the run's own checkout.
"""
