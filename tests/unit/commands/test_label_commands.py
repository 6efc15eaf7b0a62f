"""`fraud-ml cohort` and `fraud-ml leakcheck`: tables, JSON, pictures and exit codes; no server is asked."""

import json
import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fraud_ml.artifacts import FeatureReport, Window, save
from fraud_ml.contract import Contract
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.data.versions import SnapshotRegistry
from fraud_ml.features.labels import LEARNABLE, label_states
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.features.split import feature_columns
from fraud_ml.features.windows import REPORT, write_window
from fraud_ml.settings import Settings
from fraud_ml.validation.quarantine import digest_key
from tests.command_line import Run
from tests.sealed_motor import expectations_of_sealed_motor
from tests.tampering import flip_a_byte

AS_OF = "2024-11-30"


@pytest.fixture(scope="module")
def rows(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The log of 600 simulated claims of 2024."""
    file = tmp_path_factory.mktemp("motor") / "motor.parquet"
    write_rows(simulate("motor", claims=600, seed=4, begin=date(2024, 1, 1), end=date(2024, 12, 31)), file)
    return parse_rows(read_file(file, contract), contract).to_pandas()


@pytest.fixture(scope="module")
def pinned(contract: Contract, rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pinned") / "snapshot"
    freeze_copy(rows, contract, date.fromisoformat(AS_OF), folder)
    return folder


@pytest.fixture
def place(no_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a checkout's expectations, with motor's claims in plain, and no server."""
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    expectations_of_sealed_motor(tmp_path / "expectations", sealed=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(place: Path, fraud_ml: Run) -> Run:
    """Call `fraud-ml …` there."""
    return fraud_ml


def test_cohort_prints_a_table_and_writes_the_pictures(run: Run, pinned: Path, place: Path) -> None:
    code, out, _ = run("cohort", "motor", AS_OF, "--snapshot", pinned, "--out", place / "report")

    assert code == 0
    heads = out.splitlines()[0]
    assert heads.split()[:4] == ["month", "claims", "confirmed", "cleared"]
    assert "never seen" in heads
    assert "too young" in heads
    assert "share of the final fraud known" in out
    assert {"maturity.png", "recording.png", "cohort.json"} <= {path.name for path in (place / "report").iterdir()}


def test_cohort_as_json_is_one_object_on_standard_output(run: Run, pinned: Path) -> None:
    code, out, _ = run("cohort", "motor", AS_OF, "--snapshot", pinned, "--json")

    told = json.loads(out)
    assert code == 0
    assert told["as_of"] == AS_OF
    assert sum(told["states"].values()) == told["claims"]
    assert told["maturity_method"].startswith("reverse-time")
    assert told["recording"]["rule"]


def test_leakcheck_passes_on_an_honest_snapshot(run: Run, pinned: Path) -> None:
    code, out, _ = run("leakcheck", "motor", AS_OF, "--claims", 50, "--snapshot", pinned)

    assert code == 0
    assert [line.split()[1] for line in out.splitlines()[:7]] == ["passed"] * 7
    assert "columns that tell the recorded order: " in out
    assert "claim_id" in out


def test_leakcheck_exits_2_with_one_sentence_naming_column_and_code(run: Run, pinned: Path, place: Path) -> None:
    contract = place / "expectations" / "motor" / "contract.yaml"
    content = yaml.safe_load(contract.read_text())
    next(column for column in content["columns"] if column["name"] == "event")["role"] = "feature"
    contract.write_text(yaml.safe_dump(content))
    code, out, err = run("leakcheck", "motor", AS_OF, "--claims", 50, "--snapshot", pinned, "--json")

    assert code == 2
    assert "LEAK001" in err
    assert "column event" in err
    assert err.count("\n") == 1
    told = json.loads(out)
    assert told["verdict"]["decision"] == "rejected"
    assert {"LEAK001"} == {f["code"] for f in told["verdict"]["findings"] if f["outcome"] == "failed"}


@pytest.fixture
def windows(contract: Contract, pinned: Path, tmp_path: Path) -> Path:
    """The mature, decided claims of the snapshot, written as the features stage does."""
    snapshot = open_snapshot(pinned, contract)
    claims = snapshot.claims()
    decided = claims[label_states(claims, contract, date.fromisoformat(AS_OF)).isin(LEARNABLE)]
    learned = feature_columns(decided, contract).assign(
        key_sha256=decided["claim_id"].map(digest_key),
        event_time=decided["event_time"],
        label=(decided["outcome"] == "confirmed").astype("int8"),
    )
    folder = tmp_path / "features"
    folder.mkdir()
    for place, name in enumerate(("train", "validation", "test")):
        write_window(learned.iloc[place::3], folder / f"{name}.parquet", contract)
    part = Window("2024-01-01", "2024-06-04", len(learned), 0)
    names = tuple(learned.columns)
    digest = snapshot.manifest.digest
    save(FeatureReport("motor", AS_OF, digest, names, len(claims), part, part, part, {}), folder / REPORT)
    return folder


def test_leakcheck_checks_written_windows_and_refuses_another_snapshots(run: Run, pinned: Path, windows: Path) -> None:
    code, out, _ = run("leakcheck", "motor", AS_OF, "--snapshot", pinned, "--windows", windows)
    assert code == 0
    assert "every feature in the windows is as it was" in out

    train = pd.read_parquet(windows / "train.parquet")
    train.assign(past_claims=train["past_claims"] + 1).to_parquet(windows / "train.parquet")
    code, _, err = run("leakcheck", "motor", AS_OF, "--snapshot", pinned, "--windows", windows)
    assert code == 2
    assert "LEAK001 column past_claims" in err

    report = json.loads((windows / REPORT).read_text())
    (windows / REPORT).write_text(json.dumps({**report, "snapshot_digest": "0" * 64}))
    code, _, err = run("leakcheck", "motor", AS_OF, "--snapshot", pinned, "--windows", windows)
    assert code == 2
    assert "made of another snapshot" in err


@pytest.mark.parametrize("command", ["cohort", "leakcheck"])
def test_a_folder_of_another_date_and_a_changed_byte_are_refused(
    run: Run, pinned: Path, place: Path, command: str
) -> None:
    code, _, err = run(command, "motor", "2024-12-31", "--snapshot", pinned)
    assert code == 2
    assert "Expected: 2024-12-31. Arrived: 2024-11-30" in err

    copy = place / "snapshot"
    shutil.copytree(pinned, copy)
    file = sorted((copy / "log").iterdir())[0]
    flip_a_byte(file)
    code, _, err = run(command, "motor", AS_OF, "--snapshot", copy)
    assert code == 2
    assert file.name in err


def test_both_read_the_registry_and_leakcheck_tries_what_was_recorded_later(
    run: Run, contract: Contract, rows: pd.DataFrame, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_ML_SNAPSHOT_REMOTE", str(place / "remote"))
    registry = SnapshotRegistry(Settings.load())
    for as_of in (AS_OF, "2024-12-31"):
        with registry.locked():
            folder = registry.scratch / "snapshot"
            manifest = freeze_copy(rows, contract, date.fromisoformat(as_of), folder)
            registry.record(folder, manifest, revision=1)
    later = int((rows["recorded_at"] >= "2024-12-01").sum())

    code, out, _ = run("cohort", "motor", AS_OF, "--json")
    assert code == 0
    claims = json.loads(out)["claims"]
    assert claims == rows.loc[rows["recorded_at"] < "2024-12-01", "claim_id"].nunique()

    code, out, _ = run("leakcheck", "motor", AS_OF, "--claims", 30, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["later_rows"] == later > 20
    assert told["poison_rows"] > told["later_rows"]

    code, out, _ = run("leakcheck", "motor", "2024-12-31", "--claims", 30, "--json")
    assert code == 0
    assert json.loads(out)["later_rows"] == 0

    copies = [path for path in place.rglob("files/md5/*/*") if path.read_bytes()[:4] == b"PAR1" and _is_of(path)]
    assert len(copies) == 2  # December, in the cache and in the remote
    for path in copies:
        path.unlink()
    code, out, err = run("leakcheck", "motor", AS_OF, "--claims", 30, "--json")
    assert code == 0
    assert "without what was really recorded later" in err
    assert json.loads(out)["later_rows"] == 0


def _is_of(path: Path, month: str = "2024-12") -> bool:
    recorded = pd.read_parquet(path, columns=["recorded_at"])["recorded_at"]
    return set(recorded.dt.strftime("%Y-%m")) == {month}


@pytest.mark.parametrize("command", ["cohort", "leakcheck"])
def test_a_date_that_is_not_frozen_says_how_to_freeze_it(run: Run, command: str) -> None:
    code, _, err = run(command, "motor", AS_OF)

    assert code == 2
    assert f"fraud-ml snapshot freeze motor {AS_OF}" in err


@pytest.mark.parametrize("arguments", [("cohort",), ("leakcheck",)])
def test_help_shows_an_example(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, _ = run(*arguments, "--help")

    assert code == 0
    assert "Example: fraud-ml " in out


def test_no_claim_to_check_is_refused(run: Run, pinned: Path) -> None:
    code, _, err = run("leakcheck", "motor", AS_OF, "--claims", 0, "--snapshot", pinned)

    assert code == 2
    assert "--claims 1 or more" in err
