"""Limits from months: robust, and never tighter than what was observed."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from fraud_ml.validation.profile import bucket_of
from fraud_ml.validation.suggesting.editing import edit_schema
from fraud_ml.validation.suggesting.limits import (
    edges_of,
    limits_of_months,
    quantile_interval,
    rounded_down,
    rounded_up,
    share_interval,
)

COUNTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=3, max_size=30)
NUMBERS = st.floats(-1e9, 1e9).filter(lambda one: one == 0 or abs(one) > 1e-6)


@given(COUNTS)
def test_a_limit_is_never_tighter_than_the_months_it_was_learned_from(counts):
    assume(all(sum(pair) for pair in counts))
    months = {f"{2000 + n}-01": share_interval(pair[0], sum(pair)) for n, pair in enumerate(counts)}
    limits = limits_of_months(months)
    assume(limits is not None)

    assert all(limits.low <= months[month].value <= limits.high for month in limits.learned)
    assert {*limits.learned, *limits.unusual} == set(months)


def test_one_bad_month_moves_no_limit():
    usual = {f"2024-{n:02d}": share_interval(980 + n, 1000) for n in range(1, 12)}
    spoiled = limits_of_months({**usual, "2024-12": share_interval(400, 1000)})

    assert spoiled.unusual == ("2024-12",)
    assert math.isclose(spoiled.low, limits_of_months(usual).low, abs_tol=0.005)


@given(NUMBERS)
def test_rounding_goes_outwards_and_a_number_lies_in_its_bucket(number):
    assert rounded_down(number) <= number + abs(number) * 1e-6
    assert rounded_up(number) >= number - abs(number) * 1e-6
    assert rounded_up(number) - rounded_down(number) <= max(abs(number) * 0.1000001, 0)
    low, high = edges_of(bucket_of(number))
    assert low - abs(low) * 1e-9 <= number <= high + abs(high) * 1e-9


def test_a_quantile_of_few_numbers_is_less_certain_than_of_many():
    few = {str(bucket_of(n)): 1 for n in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)}
    many = {bucket: 1000 for bucket in few}

    assert quantile_interval(few, 0.8).high > quantile_interval(many, 0.8).high


def test_words_join_a_domain_however_it_is_laid_out(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_bytes(
        b'feature { name: "a" domain: "d" }\r\n'
        b'feature { path { step: "b" }\n  string_domain { name: "b" value: "x" }\n}\n'
        b'string_domain {\r\n  name: "d"\r\n  value: "x"  # ours\r\n}\r\n'
    )

    edited = edit_schema(path, {}, {"a": ['q"q'], "b": ["y"]})

    assert 'value: "x"  # ours' in edited
    assert '  value: "q\\"q"' in edited
    assert 'value: "x" value: "y" }' in edited
    assert edited.count("\r\n") >= 4
