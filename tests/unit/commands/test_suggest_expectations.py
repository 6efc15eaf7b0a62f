"""`fraud-ml suggest-expectations`: a diff to review, JSON, exit codes; files change only when they are told to."""

import json
import shutil
import subprocess
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict, Workspace, save
from fraud_ml.contract import Contract
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.features.log_copy import freeze_copy
from tests.command_line import Run
from tests.sealed_motor import expectations_of_sealed_motor

AS_OF = date(2024, 12, 31)


@pytest.fixture(scope="module")
def folded(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two years of simulated claims, frozen and folded; nobody has judged them."""
    root = tmp_path_factory.mktemp("folded")
    file = root / "motor.parquet"
    write_rows(simulate("motor", claims=2400, seed=4, begin=date(2023, 1, 1), end=AS_OF), file)
    workspace = Workspace(root)
    freeze_copy(parse_rows(read_file(file, contract), contract).to_pandas(), contract, AS_OF, workspace.snapshot)
    open_snapshot(workspace.snapshot, contract).fold_into(workspace.claims, None)
    return root


@pytest.fixture
def place(folded: Path, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a checkout with motor's rules, its claims in plain, and a verdict that accepts them."""
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    shutil.copytree(folded, tmp_path, dirs_exist_ok=True)
    expectations_of_sealed_motor(tmp_path / "expectations", sealed=False)
    monkeypatch.chdir(tmp_path)
    _judge(contract, Outcome.PASSED)
    return tmp_path


def _judge(contract: Contract, outcome: Outcome) -> None:
    digest = open_snapshot(Workspace().snapshot, contract).manifest.digest
    finding = Finding("DATA001", "rows", Severity.STOP, outcome, "≥ 1", "2,400 rows")
    save(Verdict.of("snapshot motor", digest, [finding], rows=2400), Workspace().validation_verdict)


@pytest.fixture
def run(place: Path, fraud_ml: Run) -> Run:
    """Call `fraud-ml suggest-expectations …` there."""
    return partial(fraud_ml, "suggest-expectations")


def test_a_suggestion_is_a_diff_with_a_line_for_each_rule_and_changes_no_file(run: Run, place: Path) -> None:
    rules = place / "expectations" / "motor"
    before = {path.name: path.read_bytes() for path in rules.iterdir()}
    code, out, _ = run("motor", "--from", "2023-01-01", "--to", "2024-12-31")

    assert code == 0
    assert out.startswith("--- a/expectations/motor/suite.json\n+++ b/expectations/motor/suite.json\n")
    assert "GX306  changed  The days until the report are plausible: max_value 730 -> " in out
    assert "Month 1 of the year brings as many claims as usual" in out
    assert out.splitlines()[-1].endswith("from 23 months, 2023-01 to 2024-11; nothing was written")
    assert {path.name: path.read_bytes() for path in rules.iterdir()} == before


def test_what_is_written_passes_the_check_and_is_the_diff_of_the_json(run: Run, place: Path) -> None:
    shutil.copytree(place / "expectations", place / "there" / "expectations")
    code, out, _ = run("motor", "--json", "--severity", "stop", "--write")
    told = json.loads(out)
    assert code == 0
    assert told["written"]
    assert {rule["severity"] for rule in told["rules"] if rule["is_new"]} == {"stop"}

    subprocess.run(["git", "apply"], input=told["diff"].encode(), cwd=place / "there", check=True)
    for name in ("suite.json", "schema.pbtxt"):
        written = (place / "expectations" / "motor" / name).read_bytes()
        assert (place / "there" / "expectations" / "motor" / name).read_bytes() == written
    code, out, _ = run("motor", "--json")
    assert json.loads(out)["rules"] == []


def test_a_rejected_or_another_snapshot_is_not_learned_from(run: Run, contract: Contract) -> None:
    _judge(contract, Outcome.FAILED)
    code, out, err = run("motor")
    assert (code, out) == (2, "")
    assert "DATA001" in err

    code, _, err = run("carclaims")
    assert code == 2
    assert "claims of another dataset" in err


def test_dates_in_the_wrong_order_are_refused(run: Run) -> None:
    code, _, err = run("motor", "--from", "2024-05-01", "--to", "2023-05-01")

    assert code == 2
    assert "--from on or before --to" in err


def test_help_shows_an_example(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    assert "Example: fraud-ml suggest-expectations motor" in out
