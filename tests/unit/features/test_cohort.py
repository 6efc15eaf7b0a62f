"""The cohort report accounts for every claim, marks those that chance chose, and shows nobody's values."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.features.cohort import observe
from fraud_ml.features.cohort_report import write_cohort
from fraud_ml.features.labels import LabelState
from fraud_ml.validation.quarantine import digest_key

AS_OF = date(2025, 9, 30)
Frozen = Callable[..., Snapshot]


def test_every_claim_is_in_one_month_and_one_state(motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen) -> None:
    cohort, marked = observe(frozen(motor_rows, motor, AS_OF), motor)
    known = motor_rows[motor_rows["recorded_at"] < "2025-10-01"]

    assert cohort.claims == known["claim_id"].nunique() == len(marked)
    assert sum(month.claims for month in cohort.months) == cohort.claims
    assert all(sum(month.states.values()) == month.claims for month in cohort.months)
    for state in LabelState:
        assert cohort.states.get(state, 0) == sum(month.states.get(state, 0) for month in cohort.months)
    assert {LabelState.CONFIRMED, LabelState.CLEARED, LabelState.NEVER_LOOKED_AT} < set(cohort.states)


def test_claims_that_chance_chose_are_marked_by_their_keys_digest(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen
) -> None:
    cohort, marked = observe(frozen(motor_rows, motor, AS_OF), motor)
    known = motor_rows[motor_rows["recorded_at"] < "2025-10-01"]
    random = {digest_key(key) for key in known.loc[known["investigation"] == "random", "claim_id"]}

    assert set(marked.loc[marked["is_randomly_investigated"], "key_sha256"]) == random
    assert sum(month.random_investigations for month in cohort.months) == len(random) > 50
    assert cohort.investigation is not None
    assert cohort.investigation.random == int((marked["is_randomly_investigated"] & marked["is_mature"]).sum())


def test_the_insurers_labels_take_the_months_that_it_takes_to_find_out(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen
) -> None:
    cohort, _ = observe(frozen(motor_rows, motor, AS_OF), motor)

    assert cohort.arrived_confirmed == 0
    assert cohort.maturity.at(30)[0] < 0.3
    assert cohort.maturity.at(170)[0] > 0.9
    assert cohort.recording.stopped == ()


def test_the_car_claims_come_labelled_and_their_calendar_is_named(
    cars: Contract, car_rows: pd.DataFrame, frozen: Frozen
) -> None:
    cohort, marked = observe(frozen(car_rows, cars, date(1996, 12, 31)), cars)

    assert cohort.arrived_confirmed == cohort.maturity.frauds == 923
    assert cohort.investigation is None
    assert len(cohort.recording.stopped) == 12
    assert int(marked["recording_stopped"].sum()) == sum(m.claims for m in cohort.months if m.recording_stopped)
    assert cohort.recording_policy == "keep"


def test_the_written_folder_holds_pictures_and_no_claims_value(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen, tmp_path: Path
) -> None:
    cohort, marked = observe(frozen(motor_rows, motor, AS_OF), motor)
    folder = tmp_path / "report"
    write_cohort(cohort, marked, folder)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_cohort(cohort, marked, folder)

    names = {"cohort.json", "claims.parquet", "maturity.png", "recording.png", "investigation.png"}
    assert set(first) == names
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert all(first[name].startswith(b"\x89PNG") for name in names if name.endswith(".png"))
    assert json.loads(first["cohort.json"])["claims"] == cohort.claims
    keys, makes = motor_rows["claim_id"].unique(), motor_rows["vehicle_make"].unique()
    written = first["cohort.json"] + pd.read_parquet(folder / "claims.parquet").to_csv().encode()
    assert not any(value.encode() in written for value in (*keys, *makes))


@pytest.mark.parametrize("as_of", [date(2024, 1, 20), date(2024, 3, 1)])
def test_a_log_without_any_fraud_yet_is_told_all_the_same(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Frozen, tmp_path: Path, as_of: date
) -> None:
    cohort, marked = observe(frozen(motor_rows, motor, as_of), motor)
    write_cohort(cohort, marked, tmp_path / "report")

    assert set(cohort.states) == {LabelState.IMMATURE}
    assert cohort.investigation is None
    assert (tmp_path / "report" / "maturity.png").is_file()
