"""The peer is asked what Great Expectations is asked: both find the same expectations broken."""

import json
from datetime import date

import pandas as pd
import pytest

from benchmarks._pandera_peer import broken
from fraud_ml.artifacts import Outcome
from fraud_ml.contract import load_contract
from fraud_ml.settings import PROJECT
from fraud_ml.validation.expectations import judge_expectations
from fraud_ml.validation.suite import read_suite

RULES = PROJECT / "expectations" / "motor"
EXPECTATIONS = json.loads((RULES / "suite.json").read_text(encoding="utf-8"))["expectations"]


def by_great_expectations(claims: pd.DataFrame) -> list[str]:
    suite = read_suite(RULES / "suite.json", load_contract("motor", PROJECT / "expectations"))
    found = judge_expectations(claims, suite, as_of=date(2024, 12, 31))
    return sorted(finding.code for finding in found.findings if finding.outcome is not Outcome.PASSED)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("claim_id", "M-000000"),
        ("cover", None),
        ("region", "atlantis"),
        ("vehicle_age_years", 61.0),
        ("driver_age_years", 70.0),
        ("recorded_at", pd.Timestamp("2023-01-01")),
    ],
)
def test_both_find_the_same_broken(simulated: pd.DataFrame, column: str, value: object) -> None:
    simulated.loc[simulated.index[: len(simulated) * 9 // 10], column] = value
    found = broken(simulated, EXPECTATIONS)
    assert found
    assert found == by_great_expectations(simulated)


def test_neither_finds_anything_in_sound_claims_but_too_few(simulated: pd.DataFrame) -> None:
    assert broken(simulated, EXPECTATIONS) == by_great_expectations(simulated) == []
    assert broken(simulated[:5], EXPECTATIONS) == by_great_expectations(simulated[:5])
    assert "GX001" in broken(simulated[:5], EXPECTATIONS)
    assert len(EXPECTATIONS) > 40


@pytest.fixture
def simulated() -> pd.DataFrame:
    """Return 500 claims of the simulated insurer, each as it was known last."""
    from fraud_ml.data.simulator import simulate

    rows = simulate("motor", claims=500, seed=4, begin=date(2024, 1, 1), end=date(2024, 12, 31))
    return rows.groupby("claim_id", sort=False).tail(1).reset_index(drop=True)
