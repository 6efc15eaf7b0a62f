"""What tests of several rooms share beside the servers: a place whose ledger is empty."""

from pathlib import Path

import pytest

from fraud_ml.settings import Settings
from tests.empty_ledger import empty_ledger


@pytest.fixture
def ledger_settings(mlflow_settings: Settings, postgres_settings: Settings, tmp_path: Path) -> Settings:
    """The place's servers, with an empty ledger."""
    own = {"FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings)}
    values = {**postgres_settings.values, **mlflow_settings.values, **own}
    return Settings(home=tmp_path, values=values)
