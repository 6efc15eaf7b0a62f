"""A snapshot frozen from a local copy is the one that the log itself gives: the same rows, cut, files and digest."""

from collections.abc import Callable
from datetime import date

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.features.log_copy import log_rows
from fraud_ml.features.poison import poison

AS_OF = date(2025, 3, 14)


def test_the_copy_holds_exactly_what_was_recorded_by_the_end_of_the_day(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Callable[..., Snapshot]
) -> None:
    held = log_rows(frozen(motor_rows, motor, AS_OF), motor)

    expected = motor_rows[motor_rows["recorded_at"] < "2025-03-15"]
    key = ["recorded_at", "claim_id"]
    pd.testing.assert_frame_equal(
        held.sort_values(key, ignore_index=True), expected.sort_values(key, ignore_index=True)
    )


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_neither_order_nor_any_future_changes_the_digest(
    motor: Contract, motor_rows: pd.DataFrame, frozen: Callable[..., Snapshot], seed: int
) -> None:
    early = motor_rows[motor_rows["recorded_at"] < "2024-05-01"]
    known = early[early["recorded_at"] < "2024-03-15"]
    future = poison(known, early[early["recorded_at"] >= "2024-03-15"], motor, date(2024, 3, 14), seed)
    mixed = pd.concat([known, future]).sample(frac=1, random_state=seed)

    digests = {frozen(rows, motor, date(2024, 3, 14)).manifest.digest for rows in (known, mixed)}
    assert len(digests) == 1


def test_all_poison_is_recorded_later_some_of_it_at_the_first_moment(motor: Contract, motor_rows: pd.DataFrame) -> None:
    known = motor_rows[motor_rows["recorded_at"] < "2025-03-15"]
    future = poison(known, None, motor, AS_OF, seed=1)

    assert future["recorded_at"].min() == pd.Timestamp("2025-03-15")
    assert set(future["claim_id"]) & set(known["claim_id"])
    assert set(future["claim_id"]) - set(known["claim_id"])
    final = known.drop_duplicates("claim_id", keep="last").set_index("claim_id")["outcome"]
    poisoned = future[future["claim_id"].isin(final.index)].set_index("claim_id")["outcome"]
    assert (poisoned != final[poisoned.index]).all()


def test_a_source_that_only_confirms_is_poisoned_too(motor: Contract, motor_rows: pd.DataFrame) -> None:
    confirms = motor.model_copy(update={"label": motor.label.model_copy(update={"negative": ()})})
    known = motor_rows[motor_rows["recorded_at"] < "2025-03-15"]

    assert set(poison(known, None, confirms, AS_OF, seed=1)["outcome"].dropna()) == {"confirmed"}
