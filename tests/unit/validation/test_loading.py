"""Great Expectations is loaded without databases, clouds and charts, and nobody else misses them."""

import subprocess
import sys

PROGRAM = """
import sys
from fraud_ml.validation.loading import great_expectations

for name in sys.argv[1:]:
    __import__(name)
great_expectations()
print(*(name for name in ("sqlalchemy", "boto3", "altair", "scipy.stats") if name in sys.modules))
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as needs_both
import altair, boto3, scipy.stats, sqlalchemy

print(needs_both.alt.Chart is altair.Chart, needs_both.stats.entropy is scipy.stats.entropy, sqlalchemy.text("1"))
"""


def told(*loaded_before):
    """Return what a process of its own says: libraries that were loaded, and whether those who ask later get them."""
    run = [sys.executable, "-c", PROGRAM, *loaded_before]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_it_needs_for_nothing_here_is_not_loaded_and_there_for_those_who_ask():
    assert told() == ["", "True True 1"]


def test_what_was_loaded_before_stays():
    assert told("sqlalchemy", "scipy.stats") == ["sqlalchemy scipy.stats", "True True 1"]
