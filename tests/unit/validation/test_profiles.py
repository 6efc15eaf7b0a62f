"""A profile is counts that add up: merged profiles are the profile of the merged claims."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.contract import Kind
from fraud_ml.validation.profile import FEW_VALUES, ColumnProfile, Profile, bucket_of, merge, quantiles, value_of
from fraud_ml.validation.profiling import NO_MONTH, profile_months

NUMBERS = st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(NUMBERS, NUMBERS)
def test_buckets_keep_the_order_of_numbers(a, b):
    low, high = sorted((a, b))
    assert bucket_of(low) <= bucket_of(high)


@given(NUMBERS)
def test_a_buckets_value_is_within_two_percent(number):
    assert value_of(bucket_of(number)) == pytest.approx(number, rel=0.0202)


def test_duckdb_buckets_numbers_alike(make_claims, motor):
    numbers = np.concatenate([[0.0, 1.0, -1.0, 100.0], np.geomspace(1e-3, 1e9, 198), -np.geomspace(1e-3, 1e9, 198)])
    found = merge(profile_months(make_claims(400, claim_amount=numbers), motor, ()).months.values())
    told = {}
    for number in numbers:
        told[str(bucket_of(number))] = told.get(str(bucket_of(number)), 0) + 1
    counted = found.columns["claim_amount"].counts
    assert sum(abs(counted.get(key, 0) - told.get(key, 0)) for key in {*told, *counted}) <= 2  # at a bucket's edge


def test_a_quantile_is_the_samples(make_claims, motor):
    amounts = np.random.default_rng(5).lognormal(7, 1, 400)
    counts = merge(profile_months(make_claims(claim_amount=amounts), motor, ()).months.values()).columns["claim_amount"]
    shares = (0.9, 0.1, 0.5)
    exact = [np.sort(amounts)[int(np.ceil(share * 400)) - 1] for share in shares]
    assert [*map(value_of, quantiles(counts.counts, *shares))] == pytest.approx(exact, rel=0.03)


@given(
    st.dictionaries(st.integers(-50, 50).map(str), st.integers(1, 9), min_size=1),
    st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])), max_size=5),
)
def test_quantiles_are_the_first_at_which_enough_rows_were_seen(counts, shares):
    rows = [bucket for bucket, count in sorted((int(b), n) for b, n in counts.items()) for _ in range(count)]
    expected = [next(bucket for n, bucket in enumerate(rows, 1) if n >= share * len(rows)) for share in shares]
    assert quantiles(counts, *shares) == expected


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_profile_of_parts_is_the_profile_of_the_whole(make_claims, motor, data):
    """However the months' rows are cut into parts, and whatever is missing in them."""
    claims = make_claims(120)
    for name in data.draw(st.lists(st.sampled_from(["region", "past_claims", "accident_date", "outcome"]), max_size=3)):
        claims.loc[data.draw(st.lists(st.integers(0, 119), max_size=40)), name] = None
    months = claims["event_time"].dt.strftime("%Y-%m")
    cut = data.draw(st.sets(st.sampled_from(sorted(months.unique()))))
    parts = [claims[months.isin(cut)].reset_index(drop=True), claims[~months.isin(cut)].reset_index(drop=True)]
    profiled = [profile_months(part, motor, ()).months for part in parts if len(part)]
    whole = profile_months(claims, motor, ()).months
    assert {month: profile for each in profiled for month, profile in each.items()} == whole
    assert merge(merge(each.values()) for each in profiled) == merge(whole.values())


def test_many_values_are_told_by_their_lengths_alone():
    few = ColumnProfile(Kind.CATEGORY, 3, {"a": 1, "bcd": 2})
    many = ColumnProfile(Kind.CATEGORY, 900, None, {"3": 900})
    merged = merge_columns(few, many)
    assert merged.counts is None
    assert merged.lengths == {"1": 1, "3": 902}
    crowd = ColumnProfile(Kind.CATEGORY, FEW_VALUES, {f"{n:04d}": 1 for n in range(FEW_VALUES)})
    assert merge_columns(crowd, few).counts is None


def merge_columns(*columns):
    return merge(Profile(column.known, {"x": column}) for column in columns).columns["x"]


def test_claims_without_an_event_time_have_a_month_of_their_own(make_claims, motor):
    claims = make_claims(40)
    claims.loc[:2, "event_time"] = pd.NaT
    assert profile_months(claims, motor, ()).months[NO_MONTH].rows == 3


def test_a_column_of_another_kind_is_left_out(make_claims, motor):
    claims = make_claims(40, claim_amount="a lot", accident_date="soon", region=pd.Series([7] * 40, dtype=object))
    columns = merge(profile_months(claims, motor, ()).months.values()).columns
    assert {"claim_amount", "accident_date", "region"} & set(columns) == set()
    assert "cover" in columns
