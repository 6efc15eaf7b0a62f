"""Sealed claims are judged and learned from as plain ones are, and go on to be when somebody was erased."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.artifacts import FeatureReport, SnapshotManifest, Verdict, Workspace, file_digest, save
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.parquet import by_recorded_month, to_parquet
from fraud_ml.data.sealing import people_in, seal_rows
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.subject_keys import (
    NAME_BOUND_TO,
    Enrolled,
    SnapshotKeys,
    SubjectKey,
    cipher,
    read_keys,
    write_keys,
)
from fraud_ml.data.tables import parse_rows
from fraud_ml.features import build_windows
from fraud_ml.features.leakcheck import check_leaks
from fraud_ml.params import Params, load_params
from fraud_ml.promotion.served_requests import none_served
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation import judge_snapshot
from tests.sealed_motor import expectations_of_sealed_motor

pytestmark = pytest.mark.usefixtures("tfdv_python")

AS_OF = "2025-12-31"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("claims") / "motor.parquet"
    write_rows(simulate("motor", claims=4000, seed=7, begin=date(2023, 1, 1), end=date(2025, 12, 31)), path)
    return path


def laid_out(root: Path, file: Path, *, sealed: bool) -> tuple[Workspace, Contract, Params]:
    """Leave the file's claims as the snapshot pinned in `root`, and the keys beside it, without any server."""
    workspace = Workspace(root)
    expectations_of_sealed_motor(workspace.expectations, sealed=sealed)
    shutil.copy(PROJECT / "params.yaml", workspace.params)
    contract = load_contract("motor", workspace.expectations)
    rows = parse_rows(read_file(file, contract), contract)
    rows = rows.filter([moment.date() <= date.fromisoformat(AS_OF) for moment in rows["recorded_at"].to_pylist()])
    entries: dict[str, SubjectKey] = {}
    if contract.erasure:
        people = {who: f"{place:032x}" for place, who in enumerate(sorted(people_in(rows, contract.erasure)))}
        keys = {who: int(name, 16).to_bytes(32) for who, name in people.items()}
        entries = {
            name: SubjectKey(keys[who], cipher(keys[who]).encrypt(who.encode(), NAME_BOUND_TO))
            for who, name in people.items()
        }
        rows = seal_rows(rows, contract, Enrolled(people, keys, frozenset(), frozenset()))
    files = {}
    for month, part in by_recorded_month(rows):
        path = workspace.snapshot / "log" / f"{month:%Y-%m}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_parquet(part))
        files[path.relative_to(workspace.snapshot).as_posix()] = file_digest(path)
    manifest = SnapshotManifest("motor", AS_OF, "", rows.num_rows, files, ("batch",))
    manifest = replace(manifest, digest=manifest.content_digest())
    save(manifest, workspace.snapshot_manifest)
    write_keys(SnapshotKeys(manifest.digest, entries), workspace.subject_keys)
    none_served(workspace, "motor")
    return workspace, contract, load_params(workspace.params)


Run = Callable[[Workspace, Params], tuple[Verdict, FeatureReport]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRAUD_ML_TFDV_PYTHON", str(Settings.load({}).tfdv_python))

    def act(workspace: Workspace, params: Params) -> tuple[Verdict, FeatureReport]:
        verdict = judge_snapshot(workspace, params.validation)
        return verdict, build_windows(workspace, params.features.model_copy(update={"min_positives": 5}))

    return act


def windows(workspace: Workspace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(workspace.features.glob("*.parquet"))}


def test_sealed_and_plain_claims_give_one_verdict_and_the_same_windows(tmp_path: Path, file: Path, run: Run) -> None:
    plain, _, params = laid_out(tmp_path / "plain", file, sealed=False)
    sealed, _, _ = laid_out(tmp_path / "sealed", file, sealed=True)
    expected, _ = run(plain, params)
    verdict, _ = run(sealed, params)
    assert expected.is_accepted
    assert (verdict.decision, verdict.findings) == (expected.decision, expected.findings)
    assert len(windows(plain)) == 3
    assert windows(sealed) == windows(plain)  # all that a model learns from, so its digest is the same
    quarantined = [workspace.quarantine.read_bytes() for workspace in (plain, sealed)]
    assert quarantined[0] == quarantined[1]


def test_erased_people_are_no_finding_and_learning_goes_on_without_their_values(
    tmp_path: Path, file: Path, run: Run
) -> None:
    workspace, contract, params = laid_out(tmp_path, file, sealed=True)
    before = open_snapshot(workspace.snapshot, contract)
    claims = before.claims()
    people = before.keys
    gone = sorted(people.people)[: len(people.people) // 20]  # far above the 1 % that the suite allows to be missing
    for name in gone:
        people = people.without(name, "2026-01-01")
    write_keys(people, workspace.subject_keys)
    after = open_snapshot(workspace.snapshot, contract).claims()
    unknown = after["claimant_id"].isna()
    assert 0.02 < unknown.mean() < 0.2
    assert after.loc[unknown, ["sex", "driver_age_years", "phone_id"]].isna().all(axis=None)

    verdict, report = run(workspace, params)
    assert verdict.stopping == ()
    assert report.claims == len(claims)
    train = pd.read_parquet(workspace.features / "train.parquet")
    assert train["driver_age_years"].isna().any()
    assert read_keys(workspace.subject_keys, contract, snapshot_digest=verdict.subject_digest) == people


def test_leaks_are_looked_for_in_sealed_claims_as_in_plain_ones(tmp_path: Path) -> None:
    file = tmp_path / "motor.parquet"
    write_rows(simulate("motor", claims=400, seed=7, begin=date(2023, 1, 1), end=date(2025, 12, 31)), file)
    workspace, contract, _ = laid_out(tmp_path, file, sealed=True)
    report = check_leaks(open_snapshot(workspace.snapshot, contract), sample=20)
    plain, other, _ = laid_out(tmp_path / "plain", file, sealed=False)
    expected = check_leaks(open_snapshot(plain.snapshot, other), sample=20)
    told = [(finding.code, finding.outcome, finding.column) for finding in report.verdict.findings]
    assert told == [(finding.code, finding.outcome, finding.column) for finding in expected.verdict.findings]
    assert {"LEAK001", "LEAK004"} <= {code for code, outcome, _ in told if outcome == "passed"}
