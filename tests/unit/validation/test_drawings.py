"""What drifted is drawn as it was and as it is, and nothing of a claim is told by it."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.validation.drawings import MISSING, MOST_BARS, OTHERS, UNLISTED, draw
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.profiling import profile_months
from fraud_ml.validation.report import write_report
from fraud_ml.validation.verdict import judge

AS_OF = date(2024, 12, 31)
ROWS = 4_400
LAST = "2024-12"


@pytest.fixture
def claims(make_claims):
    dice = np.random.default_rng(3)
    return make_claims(
        ROWS,
        region=np.array(["north", "south", "south", "west"])[dice.integers(0, 4, ROWS)],
        driver_age_years=dice.integers(18, 80, ROWS).astype(float),
    )


@pytest.fixture
def drawn(motor):
    """Return what is drawn of a column in the last month."""

    def act(claims, column, declared):
        evidence = Evidence(motor, AS_OF, profile_months(claims, motor, ()).months, {column: frozenset(declared)})
        broken = Finding("DATA124", "", Severity.STOP, Outcome.FAILED, "", "", column=column, partition=LAST)
        return draw(evidence, [broken, replace(broken, code="DATA111"), replace(broken, outcome=Outcome.PASSED)])

    return act


def _now(drawings):
    [drawing] = drawings
    assert sum(bar.before for bar in drawing.bars) == pytest.approx(1)
    assert sum(bar.now for bar in drawing.bars) == pytest.approx(1)
    return {bar.label: bar for bar in drawing.bars}


def _in(claims, month=LAST):
    return claims["event_time"].dt.strftime("%Y-%m") == month


def test_shares_of_listed_words_are_those_of_the_month_and_of_the_months_before(claims, drawn):
    claims.loc[_in(claims), "region"] = "north"
    bars = _now(drawn(claims, "region", ["north", "south", "west"]))
    before = claims.loc[~_in(claims), "region"].value_counts(normalize=True)
    assert {label: bar.before for label, bar in bars.items()} == pytest.approx(before.to_dict())
    assert {label: bar.now for label, bar in bars.items()} == {"north": 1.0, "south": 0.0, "west": 0.0}


def test_a_word_that_the_suite_does_not_list_is_counted_and_not_named(claims, drawn):
    claims.loc[_in(claims), "region"] = "canary"
    drawings = drawn(claims, "region", ["north", "south"])
    bars = _now(drawings)
    assert bars[UNLISTED].now == 1.0
    assert bars[UNLISTED].before == pytest.approx((claims["region"] == "west").sum() / (~_in(claims)).sum())
    assert "canary" not in repr(drawings)
    assert "west" not in repr(drawings)


def test_rare_words_are_drawn_together(claims, drawn):
    words = [f"region-{n}" for n in range(40)]
    claims["region"] = np.array(words)[np.minimum(np.random.default_rng(1).geometric(0.2, ROWS), 39)]
    bars = _now(drawn(claims, "region", words))
    assert len(bars) == MOST_BARS
    assert list(bars)[-1] == OTHERS
    assert bars["region-1"].before > bars["region-5"].before > 0


def test_numbers_are_told_by_tenths_of_before_alone(claims, drawn):
    claims.loc[_in(claims), "driver_age_years"] *= 100
    drawings = drawn(claims, "driver_age_years", [])
    bars = list(_now(drawings).values())
    assert len(bars) == 10
    assert all(0.05 < bar.before < 0.15 for bar in bars)
    assert [bar.now for bar in bars] == [0.0] * 9 + [1.0]
    assert [bar.label for bar in bars][:2] == ["part 1 of 10", "part 2 of 10"]


def test_missing_values_have_a_bar_of_their_own(claims, drawn):
    claims.loc[claims.index[_in(claims)][::2], "region"] = None
    bars = _now(drawn(claims, "region", ["north", "south", "west"]))
    assert bars[MISSING].before == 0
    assert bars[MISSING].now == pytest.approx(0.5, abs=0.01)


def test_a_rule_that_names_both_codes_has_one_drawing(claims, drawn):
    [drawing] = drawn(claims, "region", ["north"])
    assert drawing.codes == ("DATA111", "DATA124")
    assert (drawing.rows, drawing.rows_before) == (_in(claims).sum(), (~_in(claims)).sum())


def test_the_page_draws_what_a_rule_found_and_nothing_else(claims, motor, motor_rules, params, tmp_path):
    asked = {"rules": motor_rules, "as_of": AS_OF, "subject_digest": "ab" * 32, "tfdv_python": None}
    claims.loc[_in(claims), "driver_age_years"] = claims.loc[_in(claims), "driver_age_years"] * 1.5 + 0.25
    judgement = judge(claims, motor, params, **asked)
    broken = {(f.column, f.partition) for f in judgement.verdict.findings if f.outcome is Outcome.FAILED}
    assert ("driver_age_years", LAST) in broken
    assert {(one.column, one.month) for one in judgement.drawings} <= broken
    write_report(tmp_path, judgement, title="Motor", dataset="motor", as_of=f"{AS_OF}")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    figures = re.findall(r"<figure>.*?</figure>", page)
    assert len(figures) == len(judgement.drawings)
    [age] = [figure for figure in figures if "<strong>driver_age_years</strong> in 2024-12" in figure]
    assert re.search(r'role="img" aria-label="part 1 of \d+: before \d+\.\d%, now \d+\.\d%;', age)
    write_report(tmp_path, replace(judgement, drawings=()), title="Motor", dataset="motor", as_of=f"{AS_OF}")
    assert "<figure>" not in (tmp_path / "index.html").read_text(encoding="utf-8")
