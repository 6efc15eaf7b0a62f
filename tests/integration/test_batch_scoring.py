"""`fraud-ml score` and its DAG over a frozen, sealed snapshot and a registered model."""

import importlib.util
import json
import uuid
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from airflow.sdk import DAG
from click.testing import CliRunner, Result
from pyarrow import parquet

from fraud_ml.cli import cli
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import collect_keys, freeze, open_snapshot, pull_snapshot
from fraud_ml.data.subject_keys import KeyRing
from fraud_ml.errors import BadInput
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.models import Predictor, export_model, fit_family, load_model
from fraud_ml.models.family import Calibration, Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings
from tests.empty_ledger import empty_ledger
from tests.sealed_motor import motor_rows, named_in
from tests.toy_claims import toy_params
from tests.toy_models import registered_body, seal

pytestmark = pytest.mark.stack

AS_OF = date(2024, 3, 5)


@dataclass(frozen=True)
class House:
    """A sealed motor log, its snapshot, and a model of it that is registered as version 7."""

    settings: Settings
    contract: Contract
    rows: pd.DataFrame
    model: Path
    candidate_digest: str

    @property
    def predictor(self) -> Predictor:
        return load_model(self.model)

    def claims(self) -> pd.DataFrame:
        """The claims as known on the date, opened by the keys there are now."""
        folder = self.settings.home / "pulled"
        pull_snapshot(self.settings, "motor", AS_OF.isoformat(), folder)
        keys = collect_keys(self.settings, self.contract, folder)
        return open_snapshot(folder, self.contract, keys=keys).claims().set_index("claim_id")


@pytest.fixture(scope="module")
def house(s3_settings: Settings, postgres_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> House:
    root, own = tmp_path_factory.mktemp("house"), uuid.uuid4().hex[:8]
    values = {
        **s3_settings.values,
        "FRAUD_ML_HOME": str(root / "home"),
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
        "FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings),
    }
    settings, contract = Settings(root / "home", values), load_contract("motor", PROJECT / "expectations")
    rows = motor_rows(120)
    write_rows(rows, root / "motor.csv")
    land(settings, contract, root / "motor.csv")
    freeze(settings, contract, AS_OF)
    bare = House(settings, contract, rows, root / "model", "")
    claims = bare.claims()
    inputs = describe_inputs(claims, contract.features)
    labels = (np.random.default_rng(1).random(len(claims)) < 0.3).astype(np.int8)
    examples = Examples(read_columns(claims, inputs), labels)
    fitted = fit_family(
        "logistic", inputs, examples, examples, toy_params().training, progress=lambda _: None, fitted={}
    )
    bare.model.mkdir()
    manifest = export_model(bare.model, "logistic", fitted, inputs, Calibration())
    address = f"s3://claims/{own}-model"
    ObjectStore(settings).upload({f"{address}/{name}": bare.model / name for name in manifest.files})
    candidate = seal(manifest, as_of=AS_OF.isoformat())
    body = registered_body(manifest, candidate, model_uri=address, version="7")
    Ledger(settings.ledger_url).append(
        EntryKind.REGISTERED, dataset="motor", subject=candidate.digest, actor="registry", body=body
    )
    return House(settings, contract, rows, bare.model, candidate.digest)


@pytest.fixture(autouse=True)
def _in_the_house(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in house.settings.values.items():
        if name.startswith(("AWS_", "FRAUD_ML_")):
            monkeypatch.setenv(name, value)


def score(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["score", "motor", AS_OF.isoformat(), *arguments])


def told_by(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def rows_in(folder: Path) -> pd.DataFrame:
    return pd.concat([parquet.read_table(file).to_pandas() for file in folder.glob("*.parquet")]).set_index("claim_id")


def test_snapshot_is_scored_as_its_opened_claims_are_and_nobody_is_named(house: House, tmp_path: Path) -> None:
    told = told_by(score("--model", "7", "--out", str(tmp_path / "scores"), "--json"))
    claims, found = house.claims(), rows_in(tmp_path / "scores")
    assert (told["claims"], told["model_version"], told["candidate_digest"]) == (
        len(claims),
        "7",
        house.candidate_digest,
    )
    expected = pd.Series(house.predictor.predict(claims), claims.index)
    np.testing.assert_allclose(found["probability"], expected[found.index], atol=1e-6)
    words = {str(value).encode() for column in found.select_dtypes("str") for value in found[column].unique()}
    assert not words & named_in(house.rows)
    again = told_by(score("--model", house.candidate_digest[:12], "--out", str(tmp_path / "scores"), "--json"))
    assert (again["digest"], again["scored"]) == (told["digest"], 0)


def test_task_of_the_dag_scores_its_partitions_date_and_finds_what_stands(house: House) -> None:
    spec = importlib.util.spec_from_file_location("dag_file_score_history", PROJECT / "dags" / "score_history.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = module.score_history_motor
    attempt = type("Attempt", (), {"dag_id": dag.dag_id, "run_id": "r", "task_id": "score", "map_index": -1})
    context: dict[str, Any] = {"dag": dag, "ti": attempt, "params": {"model": "7"}, "partition_key": AS_OF.isoformat()}
    first = told_by(score("--model", "7", "--json"))
    answer = dag.get_task("score").execute(context)
    assert (answer["digest"], answer["scored"], answer["reused"]) == (first["digest"], 0, first["scored"])
    assert Path(answer["folder"]) == house.settings.scores / "motor" / AS_OF.isoformat() / house.candidate_digest[:12]
    with pytest.raises(BadInput, match="has no as-of date"):
        dag.get_task("score").execute({**context, "partition_key": None})


@pytest.mark.parametrize(
    ("wanted", "said"), [("8", "version 7"), ("champion", "no model of `motor` is deployed"), ("7" * 64, "registered")]
)
def test_model_that_is_not_there_is_refused_naming_those_that_are(wanted: str, said: str, tmp_path: Path) -> None:
    refused = score("--model", wanted, "--out", str(tmp_path / "scores")).exception
    assert isinstance(refused, BadInput)
    assert said in str(refused)
    assert not (tmp_path / "scores").exists()


def test_whoever_was_erased_is_scored_again_without_what_was_personal(house: House, tmp_path: Path) -> None:
    before = told_by(score("--model", "7", "--out", str(tmp_path / "scores"), "--json"))
    claims = house.claims()
    person = str(claims["claimant_id"].iloc[0])
    theirs = claims.index[claims["claimant_id"] == person]
    old = rows_in(tmp_path / "scores")["probability"]
    ring = KeyRing(house.settings, "motor")
    ring.destroy(ring.pseudonym(person))
    after = told_by(score("--model", "7", "--out", str(tmp_path / "scores"), "--json"))
    new = rows_in(tmp_path / "scores")["probability"]
    assert after["scored"] == before["scored"] + before["reused"]
    assert (new[theirs] != old[theirs]).all()
    others = new.index.difference(theirs)
    np.testing.assert_array_equal(new[others], old[others])
    unknown = house.claims().loc[theirs]
    assert unknown["driver_age_years"].isna().all()
    np.testing.assert_allclose(new[theirs], house.predictor.predict(unknown), atol=1e-6)
