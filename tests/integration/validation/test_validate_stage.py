"""`fraud-ml validate` on a pinned snapshot: from its bytes to verdict, quarantine and report."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.artifacts import Decision, Outcome, SnapshotManifest, Verdict, Workspace, file_digest, load, save
from fraud_ml.contract import load_contract
from fraud_ml.data.fold import verify_fold
from fraud_ml.data.parquet import by_recorded_month, to_parquet
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.params import load_params
from fraud_ml.promotion.served_requests import none_served
from fraud_ml.settings import PROJECT
from fraud_ml.validation import judge_snapshot
from fraud_ml.validation.checks import check_claims
from fraud_ml.validation.expectations import judge_expectations
from fraud_ml.validation.quarantine import quarantined_keys
from fraud_ml.validation.suite import read_suite
from tests.command_line import run_command
from tests.sealed_motor import expectations_of_sealed_motor
from tests.tampering import flip_a_byte

Pin = Callable[[Path, str, str], Workspace]


@pytest.fixture
def pin(tmp_path: Path) -> Pin:
    """Return a function that lays a file's claims out as the snapshot pinned in a checkout, without any server."""

    def lay_out(file: Path, dataset: str, as_of: str) -> Workspace:
        workspace = Workspace(tmp_path / "checkout")
        expectations_of_sealed_motor(workspace.expectations, sealed=False)
        shutil.copy(PROJECT / "params.yaml", workspace.params)
        contract = load_contract(dataset, workspace.expectations)
        rows = parse_rows(read_file(file, contract), contract)
        shutil.rmtree(workspace.snapshot, ignore_errors=True)
        files = {}
        for month, part in by_recorded_month(rows):
            known = part.filter(
                [moment.date() <= date.fromisoformat(as_of) for moment in part["recorded_at"].to_pylist()]
            )
            if known.num_rows:
                path = workspace.snapshot / "log" / f"{month:%Y-%m}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(to_parquet(known))
                files[path.relative_to(workspace.snapshot).as_posix()] = file_digest(path)
        manifest = SnapshotManifest(dataset, as_of, "", rows.num_rows, files, ("batch",))
        save(replace(manifest, digest=manifest.content_digest()), workspace.snapshot_manifest)
        none_served(workspace, dataset)
        return workspace

    return lay_out


def run_validate(workspace: Workspace, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {"PYTHONPATH": str(PROJECT), "FRAUD_ML_HOME": str(workspace.root / "home")}
    environment = {**os.environ, **own, **environment}
    return run_command("validate", "--json", environment=environment, folder=workspace.root)


def simulated(tmp_path: Path, claims: int, seed: int) -> Path:
    path = tmp_path / f"motor-{seed}.parquet"
    write_rows(simulate("motor", claims=claims, seed=seed, begin=date(2023, 1, 1), end=date(2024, 12, 31)), path)
    return path


@pytest.mark.slow
def test_the_stage_accepts_the_real_claims_and_accounts_for_every_row(pin, carclaims, tfdv_python):
    workspace = pin(carclaims, "carclaims", "1996-12-31")
    done = run_validate(workspace)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    verdict = load(Verdict, workspace.validation_verdict)
    assert verdict.stopping == ()
    assert (verdict.decision, verdict.rows, verdict.quarantined_rows) == (Decision.ACCEPTED, 15_420, 1)
    assert verdict.subject_digest == load(SnapshotManifest, workspace.snapshot_manifest).digest
    assert json.loads(done.stdout)["decision"] == "accepted"
    judged = verify_fold(workspace.claims)
    assert (judged.claims, judged.snapshot_digest, len(judged.files)) == (15_420, verdict.subject_digest, 36)
    assert len(quarantined_keys(workspace.quarantine)) == 1
    page = (workspace.validation_report / "index.html").read_text(encoding="utf-8")
    assert "Accepted" in page
    assert list((workspace.validation_report / "data_docs" / "validations").rglob("*.html"))
    assert (workspace.validation_report / "statistics.pbtxt").is_file()


@pytest.mark.slow
def test_the_real_claims_of_the_first_quarter_are_accepted_too(pin, carclaims, tfdv_python):
    workspace = pin(carclaims, "carclaims", "1994-03-31")
    verdict = judge_snapshot(workspace, load_params(workspace.params).validation)
    assert (verdict.stopping, verdict.decision, verdict.rows) == ((), Decision.ACCEPTED, 1_720)


@pytest.mark.slow
def test_the_stage_rejects_claims_that_lost_a_third_of_a_column_and_exits_zero(pin, carclaims, tfdv_python, tmp_path):
    claims = pd.read_csv(carclaims, dtype=str, keep_default_na=False)
    claims.loc[claims.index % 10 < 3, "VehiclePrice"] = ""
    claims.to_csv(tmp_path / "spoiled.csv", index=False)
    workspace = pin(tmp_path / "spoiled.csv", "carclaims", "1996-12-31")
    assert run_validate(workspace).returncode == 0  # a verdict is an output
    verdict = load(Verdict, workspace.validation_verdict)
    assert verdict.decision is Decision.REJECTED
    assert {(f.code, f.column, f.count) for f in verdict.stopping} == {
        ("GX115", "VehiclePrice", 4_626),
        ("TFDV003", "VehiclePrice", 4_626),
    }


@pytest.mark.slow
def test_the_stage_accepts_simulated_claims(pin, tfdv_python, tmp_path):
    workspace = pin(simulated(tmp_path, 3_000, 7), "motor", "2024-12-31")
    verdict = judge_snapshot(workspace, load_params(workspace.params).validation)
    assert load(Verdict, workspace.validation_verdict) == verdict
    assert verdict.stopping == ()
    assert (verdict.decision, verdict.quarantined_rows) == (Decision.ACCEPTED, 0)


@pytest.mark.slow
def test_tomorrows_verdict_from_the_rows_that_changed_is_the_one_from_scratch(pin, tfdv_python, tmp_path):
    claims = simulated(tmp_path, 3_000, 7)
    for as_of in ("2024-11-30", "2024-12-02"):
        workspace = pin(claims, "motor", as_of)
        assert run_validate(workspace).returncode == 0
        judged = {path: path.read_bytes() for path in (workspace.root / "home" / "verdict-cache").rglob("*.last")}
        if as_of == "2024-11-30":
            before = judged
    assert judged.keys() > before.keys()  # December came
    assert sum(judged[path] != before[path] for path in before) >= 3  # and months of the year got closings
    outputs = {path: path.read_bytes() for path in (workspace.validation_verdict, workspace.quarantine)}
    shutil.rmtree(workspace.root / "home")
    assert run_validate(workspace).returncode == 0
    assert {path: path.read_bytes() for path in outputs} == outputs


@pytest.mark.parametrize(("seed", "claims"), [(1, 3_000), (2, 600), (3, 1_500)])
@pytest.mark.parametrize("as_of", ["2023-02-28", "2023-10-31", "2024-12-31"])
def test_simulated_claims_pass_suite_and_own_checks_for_any_seed_and_date(pin, tmp_path, seed, claims, as_of):
    workspace = pin(simulated(tmp_path, claims, seed), "motor", as_of)
    contract = load_contract("motor", workspace.expectations)
    folded = open_snapshot(workspace.snapshot, contract).claims()
    suite = read_suite(workspace.expectations / "motor" / "suite.json", contract)
    on = date.fromisoformat(as_of)
    found = [one.finding for one in check_claims(folded, contract, on)]
    found += judge_expectations(folded, suite, as_of=on).findings
    assert [(f.code, f.arrived) for f in found if f.outcome is not Outcome.PASSED and f.severity != "warn"] == []


def test_a_changed_byte_of_the_snapshot_stops_the_stage_and_is_named(pin, tmp_path):
    workspace = pin(simulated(tmp_path, 300, 7), "motor", "2024-12-31")
    victim = sorted(workspace.snapshot.rglob("*.parquet"))[2]
    flip_a_byte(victim)
    done = run_validate(workspace)
    assert done.returncode == 2
    assert victim.name in done.stderr
    assert not workspace.validation_verdict.exists()


def test_without_tfdvs_environment_the_stage_is_unavailable_and_judges_nothing(pin, tmp_path):
    workspace = pin(simulated(tmp_path, 300, 7), "motor", "2024-12-31")
    done = run_validate(workspace, FRAUD_ML_TFDV_PYTHON=str(tmp_path / "absent"))
    assert done.returncode == 3
    assert "make tfdv" in done.stderr
    assert not workspace.validation_verdict.exists()


def test_a_suite_that_names_an_absent_column_stops_the_stage_by_file_and_index(pin, tmp_path):
    workspace = pin(simulated(tmp_path, 300, 7), "motor", "2024-12-31")
    path = workspace.expectations / "motor" / "suite.json"
    suite = json.loads(path.read_text(encoding="utf-8"))
    suite["expectations"][4]["kwargs"]["column"] = "postcode"
    path.write_text(json.dumps(suite), encoding="utf-8")
    done = run_validate(workspace)
    assert done.returncode == 2
    assert re.search(r"suite\.json:1: expectations\[4\].*postcode", done.stderr)
