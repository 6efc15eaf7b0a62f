"""A scorer that answers for one dataset, `motor`, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fraud_ml.artifacts import ModelManifest
from fraud_ml.serving.app import create_app
from fraud_ml.serving.logbook import Logbook
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.scorer import Scorer
from fraud_ml.serving.shelf import Shelf
from fraud_ml.settings import Settings
from tests.toy_models import deployment_of, export_forest, put_on_shelf


@dataclass(frozen=True)
class Exported:
    folder: Path
    manifest: ModelManifest


@pytest.fixture(scope="session")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("forest") / "model"
    return Exported(folder, export_forest(folder))


@pytest.fixture(scope="session")
def other_forest(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("forest") / "model"
    return Exported(folder, export_forest(folder, seed=2))


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    """Settings whose object store does not answer: what is not on the shelf cannot be had."""
    values = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    return Settings(home=tmp_path, values={**values, "FRAUD_ML_CLAIMS_URL": "s3://claims"})


@pytest.fixture
def scorer(tmp_path: Path, nowhere: Settings, forest: Exported) -> Scorer:
    home = tmp_path / "scorer"
    put_on_shelf(home, forest.folder, forest.manifest)
    made = Scorer(Shelf(home, nowhere))
    made.restore()
    made.deploy(deployment_of(forest.manifest, model_uri="s3://mlflow/x/model", version="7"))
    return made


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def logbook(nowhere: Settings, metrics: Metrics) -> Logbook:
    return Logbook(nowhere, metrics, name="scorer-t")


@pytest.fixture
def client(scorer: Scorer, metrics: Metrics, logbook: Logbook) -> Iterator[TestClient]:
    with TestClient(create_app(scorer, metrics, logbook, name="scorer-t"), raise_server_exceptions=True) as client:
        yield client
