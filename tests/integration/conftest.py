"""What tests of several rooms share beside the servers: a place whose ledger is empty."""

import uuid
from pathlib import Path

import pytest

from fraud_ml.ledger import Ledger
from fraud_ml.settings import Settings


@pytest.fixture
def ledger_settings(mlflow_settings: Settings, postgres_settings: Settings, tmp_path: Path) -> Settings:
    """The place's servers, with an empty ledger."""
    from sqlalchemy import create_engine, make_url, text

    server, name = make_url(postgres_settings.ledger_url), f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    url = server.set(database=name).render_as_string(hide_password=False)
    Ledger(url).migrate()
    values = {**postgres_settings.values, **mlflow_settings.values, "FRAUD_ML_LEDGER_URL": url}
    return Settings(home=tmp_path, values=values)
