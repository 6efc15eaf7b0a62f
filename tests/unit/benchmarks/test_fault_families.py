"""Each fault family is noticed by the rules that it names, and passes unnoticed without them.

A family is tried in its softest form on the smallest scene that it concerns. What its own rules find is taken away;
what is left is what anybody else would have seen: nothing, or another form and scene are tried.
"""

import os
from collections.abc import Iterator

import pytest

from benchmarks.corpus import TUNING_SEEDS, faults  # noqa: F401 - fills the table
from benchmarks.corpus.family import FAMILIES, Family, Guard, Level
from benchmarks.corpus.judging import Tried, try_family
from benchmarks.corpus.scenes import scene, shared_data
from fraud_ml.settings import PROJECT

SEED = TUNING_SEEDS[0]
BY_COST = ("handbook", "carclaims", "motor")
CONSEQUENCES = ("DATA008",)  # the share of rows that other rules set aside
TRIES = 4


@pytest.fixture(autouse=True, scope="module")
def _public_data() -> None:
    if "FRAUD_ML_SHARED" not in os.environ and not (PROJECT.parent / "shared" / "data").is_dir():
        pytest.skip("the public data is not there (FRAUD_ML_SHARED)")
    assert shared_data().is_dir()


def tries(family: Family) -> Iterator[Tried]:
    """Yield what came of the family, softest severity and smallest scene first."""
    places = [(dataset, severity) for dataset in BY_COST for severity in reversed(family.severities)]
    wanted = [(dataset, severity) for dataset, severity in places if family.concerns(scene(dataset, SEED))]
    for dataset, severity in wanted[:TRIES]:
        yield try_family(family.name, severity, dataset, SEED)


def left_without(tried: Tried, family: Family) -> set[str]:
    """Return the codes that others than the family's own rules give."""
    return {told.code for told in tried.noticed.findings if not told.code.startswith((*family.codes, *CONSEQUENCES))}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_familys_rules_notice_it_and_without_them_nobody_does(name: str) -> None:
    family = FAMILIES[name]
    seen = []
    for tried in tries(family):
        assert tried.right_code, (tried.dataset, tried.severity, tried.column, sorted(tried.noticed.findings))
        if not left_without(tried, family):
            break
        seen.append((tried.dataset, tried.severity, sorted(left_without(tried, family))))
    else:
        pytest.fail(f"others notice it too: {seen}")
    if family.level is Level.FROZEN:
        assert tried.noticed.guard is Guard.TAMPERED
    assert tried.noticed.guard is not None
