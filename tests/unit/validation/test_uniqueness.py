"""Values that rows share are counted from sorted hashes, however they are cut into months and ranges."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.validation.uniqueness import Seen, hashes_of, repeated_in

VALUES = st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh"), st.text(max_size=3)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(months=st.lists(VALUES, max_size=4), at_once=st.sampled_from([1, 3, 1_000]))
def test_rows_that_share_a_value_are_those_that_pandas_calls_duplicated(months, at_once):
    whole = pd.Series([value for month in months for value in month], dtype=object)
    expected = int((whole.duplicated(keep=False) & whole.notna()).sum())
    with tempfile.TemporaryDirectory() as folder:
        seen = Seen(Path(folder), at_once=at_once)
        for month in months:
            seen.add("key", hashes_of(pd.Series(month, dtype=object)))
        assert seen.repeated("key") == expected
    assert repeated_in(whole) == expected


@pytest.mark.parametrize("values", [[1.0, 2.0, 1.0, None], pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"])])
def test_numbers_and_times_are_compared_too(values):
    assert repeated_in(pd.Series(values)) == 2


def test_a_column_that_nobody_has_seen_repeats_nothing(tmp_path):
    assert Seen(tmp_path).repeated("key") == 0
