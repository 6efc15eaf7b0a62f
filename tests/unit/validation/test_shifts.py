"""Effect and significance: a shift is told only where both speak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.validation.shifts import chi_squared_quantile, count_gap, rise, share_gap, stability_index

COUNTS = st.lists(st.integers(0, 5_000), min_size=2, max_size=12)


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 23.93), (2, 27.63), (9, 45.08), (30, 84.08)])  # R: qchisq
def test_chi_squareds_quantile_is_the_tables(degrees, quantile):
    assert chi_squared_quantile(degrees) == pytest.approx(quantile, rel=0.03)


@given(COUNTS)
def test_equal_counts_have_no_shift(counts):
    assert stability_index(counts, counts).index == 0


@given(st.integers(2, 12).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 900), min_size=n, max_size=n)] * 2)))
def test_a_shift_is_symmetric_and_never_negative(pair):
    there, back = stability_index(*pair), stability_index(pair[1], pair[0])
    assert there.index == pytest.approx(back.index)
    assert there.index >= 0


def test_the_index_of_a_textbook_example_is_its():
    shift = stability_index([300_000, 700_000], [200_000, 800_000])
    assert shift.index == pytest.approx(0.1 * np.log(3 / 2) - 0.1 * np.log(7 / 8), rel=1e-4)


def test_samples_of_one_population_stay_within_chance():
    draw = np.random.default_rng(3)
    shares = [0.4, 0.25, 0.2, 0.1, 0.04, 0.01]
    beyond = [
        stability_index(draw.multinomial(n, shares).tolist(), draw.multinomial(m, shares).tolist()).beyond_chance
        for n in (30, 300, 3_000)
        for m in (100, 5_000)
        for _ in range(300)
    ]
    assert max(beyond) == 0


@given(st.integers(1, 400), st.integers(1, 4_000), st.floats(0, 1))
def test_equal_shares_have_no_gap(rows, before, share):
    assert share_gap(round(rows * share), rows, round(before * share), before) < 0.01


def test_a_gap_is_never_more_than_what_was_seen():
    assert 0.2 < share_gap(300, 1_000, 0, 10_000) <= 0.3


def test_a_few_rows_say_nothing():
    assert share_gap(3, 4, 0, 10_000) == 0
    assert not count_gap(5, 15)
    assert count_gap(50, 150)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_equal_share_did_not_rise(part):
    assert abs(rise(*part, *part)) < 1e-3


@pytest.mark.parametrize(("count", "before", "sign"), [(21, 0, 1), (0, 400, -1), (50, 10, 1)])
def test_a_rise_is_told_where_one_count_is_zero(count, before, sign):
    told = rise(count, 430, before, 4_000)
    assert told * sign > 4
    assert rise(before, 4_000, count, 430) == pytest.approx(-told)


def test_a_rise_is_as_rare_by_chance_as_a_normal_deviate():
    draw = np.random.default_rng(4)
    found = [rise(int(a), 800, int(b), 6_000) for a, b in draw.binomial([800, 6_000], 0.06, (4_000, 2))]
    assert np.std(found) == pytest.approx(1, abs=0.05)
