"""Honest data passes the leak check; each of five planted leaks is named by its column, and each rule is needed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import SnapshotManifest, save
from fraud_ml.contract import Column, Contract, Kind, Role
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.errors import NotAccepted
from fraud_ml.features.leakcheck import LeakReport, check_leaks
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.features.split import feature_columns, split_claims
from fraud_ml.params import FeatureParams

AS_OF = date(2025, 9, 30)
Frozen = Callable[..., Snapshot]


def with_feature(contract: Contract, name: str, kind: Kind = Kind.CATEGORY) -> Contract:
    """Return the contract with a feature more, or with a column that it has made a feature."""
    others = tuple(column for column in contract.columns if column.name != name)
    return contract.model_copy(update={"columns": (*others, Column(name=name, kind=kind, role=Role.FEATURE))})


def failed(report: LeakReport) -> set[tuple[str, str | None]]:
    return {(finding.code, finding.column) for finding in report.verdict.stopping}


def refusal(report: LeakReport) -> str:
    with pytest.raises(NotAccepted) as refused:
        report.verdict.require_accepted(subject_digest=report.snapshot_digest)
    return str(refused.value)


# --- honest data ---


def test_the_simulated_insurer_passes_in_the_middle_of_its_log(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen
) -> None:
    later = motor_rows[motor_rows["recorded_at"] >= pd.Timestamp(AS_OF + timedelta(days=1))]
    report = check_leaks(frozen(motor_rows, motor, AS_OF), later=later, sample=300)

    assert failed(report) == set()
    assert {finding.code for finding in report.verdict.findings} == {f"LEAK00{number}" for number in range(1, 8)}
    assert report.later_rows == len(later) > 500
    assert report.sampled == 300
    assert {"claim_id", "recorded_at", "accident_date"} <= set(report.order_columns)


@pytest.mark.parametrize("as_of", [date(1996, 12, 31), date(1995, 3, 31)])
def test_the_public_car_claims_pass_and_their_row_number_and_year_are_named(
    cars: Contract, car_rows: pd.DataFrame, frozen: Frozen, as_of: date
) -> None:
    report = check_leaks(frozen(car_rows, cars, as_of), later=car_rows[car_rows["recorded_at"] > pd.Timestamp(as_of)])

    assert failed(report) == set()
    if as_of.year == 1996:
        assert set(report.order_columns) == {"PolicyNumber", "Year"}


def test_no_claims_value_is_in_the_report(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    told = str(check_leaks(frozen(motor_rows, motor, AS_OF), sample=20))

    assert not any(key in told for key in motor_rows["claim_id"].unique())
    assert not any(word in told for word in motor_rows["vehicle_make"].unique())


# --- five planted leaks ---


def test_a_future_aggregate_is_named(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    def with_garage_claims(claims: pd.DataFrame, contract: Contract) -> pd.DataFrame:
        size = claims.groupby("garage_id")["garage_id"].transform("size")
        return feature_columns(claims, contract).assign(garage_claims=size)

    report = check_leaks(frozen(motor_rows, motor, AS_OF), sample=50, featurise=with_garage_claims)

    assert failed(report) == {("LEAK001", "garage_claims")}
    assert "LEAK001" in refusal(report)
    assert "column garage_claims" in refusal(report)


def test_an_aggregate_of_what_was_known_is_no_leak(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    """Claims of the same garage that were opened earlier: their number does not change when the log goes on."""
    opened = motor_rows.groupby("claim_id")["recorded_at"].min()

    def with_earlier_claims(claims: pd.DataFrame, contract: Contract) -> pd.DataFrame:
        when = claims["claim_id"].map(opened).rank(method="first")
        earlier = when.groupby(claims["garage_id"]).rank(method="first") - 1
        return feature_columns(claims, contract).assign(earlier_claims=earlier)

    report = check_leaks(frozen(motor_rows, motor, AS_OF), sample=50, featurise=with_earlier_claims)

    assert ("LEAK001", "earlier_claims") not in failed(report)


def test_a_column_derived_from_the_label_is_named(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    """Restated into every row of the claim, as an export of today's table would: no cut by time can show it."""
    final = motor_rows.dropna(subset="outcome").set_index("claim_id")["outcome"]
    final = final[~final.index.duplicated(keep="last")]
    letter = motor_rows["claim_id"].map(final).map({"confirmed": "refusal", "cleared": "payment"}).fillna("payment")
    report = check_leaks(frozen(motor_rows.assign(letter=letter), with_feature(motor, "letter"), AS_OF), sample=50)

    assert failed(report) == {("LEAK007", "letter")}
    assert "column letter" in refusal(report)


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.CATEGORY])
def test_a_row_number_is_named(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen, kind: Kind) -> None:
    opened = motor_rows.groupby("claim_id")["recorded_at"].min().rank(method="first")
    number = motor_rows["claim_id"].map(opened)
    row = number if kind is Kind.NUMBER else "no. " + number.astype(int).astype(str) + "/a"
    report = check_leaks(frozen(motor_rows.assign(row=row), with_feature(motor, "row", kind), AS_OF), sample=50)

    assert failed(report) == {("LEAK005", "row")}
    assert "column row" in refusal(report)


def test_a_calendar_in_two_columns_is_named_by_both(cars: Contract, car_rows: pd.DataFrame, frozen: Frozen) -> None:
    """Over two years neither the year nor the month alone tells the order."""
    contract = with_feature(with_feature(cars, "Year"), "Month")
    found = failed(check_leaks(frozen(car_rows, contract, date(1995, 12, 31)), sample=10))

    assert {pair for pair in found if pair[0] == "LEAK005"} == {("LEAK005", "Year with Month")}
    assert ("LEAK006", "Month") in found


@pytest.mark.parametrize("status", ["event", "investigation"])
def test_a_status_that_comes_after_the_claim_is_named(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen, status: str
) -> None:
    contract = with_feature(motor, status)
    if status == "investigation":
        contract = contract.model_copy(update={"label": contract.label.model_copy(update={"investigation": None})})
    report = check_leaks(frozen(motor_rows, contract, AS_OF), sample=100)

    assert ("LEAK001", status) in failed(report)
    assert f"column {status}" in refusal(report)


def a_day_too_late(rows: pd.DataFrame, contract: Contract, as_of: date, folder: Path) -> SnapshotManifest:
    manifest = freeze_copy(rows, contract, as_of + timedelta(days=1), folder)
    manifest = replace(manifest, as_of=as_of.isoformat())
    manifest = replace(manifest, digest=manifest.content_digest())
    save(manifest, folder / "manifest.json")
    return manifest


def test_a_cut_that_is_off_by_one_day_is_named(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    report = check_leaks(frozen(motor_rows, motor, AS_OF, freeze=a_day_too_late), sample=50, freeze=a_day_too_late)

    assert {("LEAK003", "recorded_at"), ("LEAK004", "recorded_at")} <= failed(report)
    assert "column recorded_at" in refusal(report)


def test_a_cut_that_is_off_by_one_day_is_found_though_that_day_is_still_empty(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen
) -> None:
    """No row of the snapshot lies too late yet; only the poisoned future shows the cut."""
    known = motor_rows[motor_rows["recorded_at"] < pd.Timestamp(AS_OF + timedelta(days=1))]
    report = check_leaks(frozen(known, motor, AS_OF), sample=50, freeze=a_day_too_late)

    assert {code for code, _ in failed(report)} == {"LEAK004"}
    assert ("LEAK004", "outcome") in failed(report)
    assert ("LEAK004", "claim_amount_eur") in failed(report)


# --- what was written ---


def written(snapshot: Snapshot) -> pd.DataFrame:
    params = FeatureParams(test_months=3, validation_months=3, min_positives=2)
    as_of = date.fromisoformat(snapshot.manifest.as_of)
    split = split_claims(snapshot.claims(), snapshot.contract, as_of, set(), params)
    return pd.concat(split.frames.values(), ignore_index=True)


def test_written_windows_are_computed_again(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    snapshot = frozen(motor_rows, motor, AS_OF)
    windows = written(snapshot)
    shifted = windows.assign(witnesses=windows["witnesses"].shift(1))
    guessed = windows.assign(label=0)
    strange = windows.assign(key_sha256=["0" * 64, *windows["key_sha256"][1:]])

    assert failed(check_leaks(snapshot, sample=100, windows=windows)) == set()
    assert failed(check_leaks(snapshot, sample=100, windows=shifted)) == {("LEAK001", "witnesses")}
    assert failed(check_leaks(snapshot, sample=500, windows=guessed)) == {("LEAK002", "outcome")}
    assert failed(check_leaks(snapshot, sample=100, windows=strange)) == {("LEAK003", "key_sha256")}


# --- the other guards ---


def test_a_label_of_another_date_is_named(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    """A fold that takes the first row for the last one shows old labels."""

    class Stale(Snapshot):
        def claims(self) -> pd.DataFrame:
            return super().claims().assign(outcome=None)

    honest = frozen(motor_rows, motor, AS_OF)
    report = check_leaks(Stale(honest.folder, honest.manifest, honest.contract), sample=100)

    assert ("LEAK002", "outcome") in failed(report)


def test_a_calendar_of_the_labels_stops_and_a_drifting_column_does_not(
    cars: Contract, car_rows: pd.DataFrame, frozen: Frozen
) -> None:
    """A desk that changes with the months, roughly, teaches which months had fraud recorded, and nothing else."""
    dice = np.random.default_rng(5)
    when = car_rows["recorded_at"].rank(pct=True).to_numpy()
    desk = (when + dice.normal(0, 0.2, len(when))).round(3)
    recorded = (when < 0.33) | (when > 0.83)
    fraud = (dice.random(len(when)) < np.where(recorded, 0.3, 0.01)).astype(int).astype(str)
    contract = with_feature(cars, "desk", Kind.NUMBER)
    drifting = car_rows.assign(desk=desk)
    recorded_by_calendar = drifting.assign(FraudFound_P=fraud, desk=(when + dice.normal(0, 0.16, len(when))).round(3))

    assert failed(check_leaks(frozen(drifting, contract, date(1996, 12, 31)), sample=10)) == set()
    assert failed(check_leaks(frozen(recorded_by_calendar, contract, date(1996, 12, 31)), sample=10)) == {
        ("LEAK006", "desk")
    }


def test_the_check_is_repeatable(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    snapshot = frozen(motor_rows, motor, AS_OF)

    assert check_leaks(snapshot, sample=20, seed=3) == check_leaks(snapshot, sample=20, seed=3)
