"""How much one column tells of another, from their joint counts alone."""

import math

import numpy as np
import pytest

from fraud_ml.validation.profile import merge, pair_name
from fraud_ml.validation.profiling import profile_months
from fraud_ml.validation.rules.ties import tie_of


def test_columns_that_say_the_same_tell_all_there_is():
    told = tie_of({pair_name("a", "x"): 5_000, pair_name("b", "y"): 5_000})
    assert told.information == pytest.approx(math.log(2), abs=1e-3)


def test_columns_that_know_nothing_of_each_other_tell_nothing():
    draw = np.random.default_rng(3)
    counts = {pair_name(str(a), str(b)): int(draw.poisson(50)) for a in range(8) for b in range(9)}
    assert tie_of(counts).information < 0.01


def test_pairs_of_parts_add_up_to_those_of_the_whole(make_claims, motor):
    claims = make_claims(300)
    whole = merge(profile_months(claims, motor, ()).months.values())
    parts = [profile_months(part.reset_index(drop=True), motor, ()).months for part in (claims[:120], claims[120:])]
    assert merge(merge(part.values()) for part in parts).pairs == whole.pairs
    assert set(whole.pairs) == {pair_name(*names) for names in motor.checks.go_together}
    assert sum(whole.pairs[pair_name("vehicle_value_eur", "vehicle_make")].values()) == 300
