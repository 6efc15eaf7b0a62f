"""Rules suggested from sealed claims tell nobody's values, and accept the snapshot that they were learned from."""

from datetime import date
from pathlib import Path

import pytest

from fraud_ml.artifacts import Severity
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.settings import Settings
from fraud_ml.validation import judge_snapshot
from fraud_ml.validation.partial_cache import PartialCache
from fraud_ml.validation.partition import read_judges
from fraud_ml.validation.suggesting import judged_months, suggest, write_suggestion
from tests.integration.validation.test_sealed_claims import laid_out


def test_a_snapshot_is_accepted_by_the_rules_that_it_suggests(
    tfdv_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRAUD_ML_TFDV_PYTHON", str(tfdv_python))
    file = tmp_path / "motor.parquet"
    write_rows(simulate("motor", claims=4000, seed=7, begin=date(2023, 1, 1), end=date(2025, 12, 31)), file)
    workspace, contract, params = laid_out(tmp_path / "sealed", file, sealed=True)
    assert judge_snapshot(workspace, params.validation).is_accepted

    rules = workspace.expectations / "motor"
    judges = read_judges(contract, rules)
    as_of, months = judged_months(workspace, judges, PartialCache(Settings.load().verdict_cache))
    found = suggest(months, judges, as_of, severity=Severity.STOP)
    personal = {column.name for column in contract.personal}
    changed = {one.column: one.changes for one in found.rules if one.column in personal}
    assert all({"mostly", "min_fraction"} >= changes.keys() for changes in changed.values())
    assert any(one.each_month for one in found.rules)

    write_suggestion(found, rules)
    again = judge_snapshot(workspace, params.validation)
    assert again.is_accepted, [(one.code, one.arrived) for one in again.stopping]
    assert {one.rule for one in found.rules if one.each_month} <= {one.code for one in again.findings}
