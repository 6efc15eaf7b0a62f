"""A rule of each month is asked of months whose claims have arrived, and are enough to tell."""

from datetime import date

import pytest

from fraud_ml.validation.profiling import NO_MONTH
from fraud_ml.validation.settled import settled_months

ROWS = {"1970-01": 1, "2024-01": 400, "2024-02": 29, "2024-03": 400, NO_MONTH: 50}


@pytest.mark.parametrize(("as_of", "last"), [("2024-04-27", "2024-01"), ("2024-04-28", "2024-03")])
def test_a_month_is_settled_four_weeks_after_its_end(as_of, last):
    assert settled_months(ROWS, date.fromisoformat(as_of))[-1] == last


def test_strays_and_months_of_few_claims_are_left_out():
    as_of = date(2024, 12, 31)

    assert settled_months(ROWS, as_of) == ("2024-01", "2024-03")
    assert settled_months(ROWS, as_of, with_few=True) == ("2024-01", "2024-02", "2024-03")
