"""`fraud-ml stack airflow` talks to the embedded Airflow or to none at all."""

from pathlib import Path

import pytest

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.stack import Stack


def test_stack_that_never_ran_airflow_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAUD_ML_AIRFLOW_URL", raising=False)
    with pytest.raises(Unavailable, match="holds no Airflow yet"):
        Stack(tmp_path).airflow_environment()
    assert list(tmp_path.iterdir()) == []  # asking makes no ports and no secrets


def test_airflow_that_stands_elsewhere_is_not_mistaken_for_the_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_ML_AIRFLOW_URL", "https://airflow.example.org")
    with pytest.raises(BadInput, match="is not this stack's"):
        Stack(tmp_path).airflow_environment()
