"""What a model takes is read alike by every family; what does not fit is named by its column, never by its values."""

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.errors import BadInput
from fraud_ml.models.golden import GOLDEN_ROWS, UNSEEN, sample_golden
from fraud_ml.models.inputs import MISSING, RARE, Input, Inputs, describe_inputs, read_columns

GARAGE = Column(name="garage", kind=Kind.CATEGORY, role=Role.FEATURE)
AGE = Column(name="age_years", kind=Kind.NUMBER, role=Role.FEATURE)


def frame(**columns: list) -> pd.DataFrame:
    plain = {"garage": ["a"] * RARE + ["b"] * RARE, "age_years": [20.0, 30.0] * RARE}
    return pd.DataFrame({**plain, **columns})


INPUTS = describe_inputs(frame(), [GARAGE, AGE])


def test_the_vocabulary_is_sorted_and_leaves_out_what_was_seen_too_rarely_to_name() -> None:
    garages = ["z"] * RARE + ["b"] * RARE + ["seldom"] * (RARE - 1)
    described = describe_inputs(frame(garage=garages, age_years=range(len(garages))), [GARAGE, AGE])
    assert described.categories[0].vocabulary == ("b", "z")


def test_a_numbers_spread_is_of_its_known_values() -> None:
    described = describe_inputs(frame(age_years=[20.0, 30.0] * (RARE - 1) + [np.nan] * 2), [GARAGE, AGE]).numbers[0]
    assert (described.mean, described.spread) == (25.0, 5.0)


@pytest.mark.parametrize(
    "constant",
    [{"garage": ["a"] * 2 * RARE}, {"garage": [None] * 2 * RARE}, {"age_years": [7.0] * 2 * RARE}],
)
def test_a_constant_column_is_refused_by_name(constant: dict) -> None:
    with pytest.raises(BadInput, match=f"column `{next(iter(constant))}` holds one and the same value"):
        describe_inputs(frame(**constant), [GARAGE, AGE])


@pytest.mark.parametrize("rows_of_each", [1, RARE])
def test_a_category_of_100_000_values_is_refused_by_name(rows_of_each: int) -> None:
    garages = [f"garage {number}" for number in range(100_000)] * rows_of_each
    with pytest.raises(BadInput, match=r"column `garage` holds 100,000 different values.*at most 50,000"):
        describe_inputs(frame(garage=garages, age_years=[20.0, 30.0] * (len(garages) // 2)), [GARAGE, AGE])


def test_a_column_that_is_all_missing_numbers_is_refused() -> None:
    with pytest.raises(BadInput, match="`age_years`"):
        describe_inputs(frame(age_years=[None] * 2 * RARE), [GARAGE, AGE])


def test_a_timestamp_cannot_be_a_feature() -> None:
    moment = Column(name="when", kind=Kind.TIMESTAMP, role=Role.FEATURE)
    with pytest.raises(BadInput, match="`when` is a timestamp"):
        describe_inputs(frame(), [moment])


def test_missing_values_become_empty_text_and_nan() -> None:
    read = read_columns(frame(garage=[None, np.nan] * RARE, age_years=[None, 3.0] * RARE), INPUTS)
    assert set(read["garage"]) == {MISSING}
    assert np.isnan(read["age_years"][0])
    assert read["age_years"].dtype == np.float32


def test_whole_numbers_are_numbers() -> None:
    assert read_columns(frame(age_years=list(range(2 * RARE))), INPUTS)["age_years"][3] == 3.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"garage": list(range(2 * RARE))}, "column `garage` is not text"),
        ({"age_years": ["SECRET"] * 2 * RARE}, "column `age_years` is not a number"),
        ({"age_years": [True] * 2 * RARE}, "column `age_years` is not a number"),
        ({"age_years": [1.0, "SECRET"] * RARE}, "column `age_years` is not a number"),
        ({"age_years": [np.inf] * 2 * RARE}, "column `age_years` holds a number without bound"),
        ({"age_years": [1e300] * 2 * RARE}, "column `age_years` holds a number without bound"),
        ({"age_years": pd.to_datetime(["2024-01-01"] * 2 * RARE)}, "column `age_years` is not a number"),
    ],
)
def test_a_wrong_type_is_refused_without_its_value(wrong: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_columns(frame(**wrong), INPUTS)
    assert "SECRET" not in str(caught.value)
    assert caught.value.facts["column"] == next(iter(wrong))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(BadInput, match="column `age_years` is not there"):
        read_columns(frame().drop(columns="age_years"), INPUTS)


def test_golden_claims_are_made_up_from_vocabulary_and_quantiles() -> None:
    golden = sample_golden(INPUTS)
    assert set(golden["garage"]) <= {"a", "b", MISSING, UNSEEN}
    numbers = golden["age_years"][~np.isnan(golden["age_years"])]
    assert set(numbers.tolist()) <= {*INPUTS.numbers[0].quantiles, 10 * max(INPUTS.numbers[0].quantiles)}
    assert len(golden["garage"]) == GOLDEN_ROWS


def test_golden_claims_of_equal_inputs_are_equal() -> None:
    first, second = sample_golden(INPUTS), sample_golden(INPUTS)
    assert all(np.array_equal(first[name], second[name], equal_nan=first[name].dtype != object) for name in first)


def test_golden_claims_exist_for_a_category_without_any_common_value() -> None:
    golden = sample_golden(Inputs((Input("garage", Kind.CATEGORY),)))
    assert set(golden["garage"]) == {MISSING, UNSEEN}
