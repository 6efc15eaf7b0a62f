"""The verdict from months that were judged before is the verdict from scratch, and that of the whole table at once."""

import itertools
import json
import shutil
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import Outcome
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.errors import Tampered
from fraud_ml.validation.describing import add_descriptions
from fraud_ml.validation.months import table_of_fold
from fraud_ml.validation.partial_cache import PartialCache
from fraud_ml.validation.partition import read_judges
from fraud_ml.validation.verdict import judge, judge_table
from tests.tampering import flip_a_byte
from tests.unit.validation.changes_to_claims import CHANGES
from tests.unit.validation.folded_claims import fold_of

AS_OF = date(2024, 12, 31)
NO_KEYS = SnapshotKeys("", {})


@pytest.fixture(scope="module")
def contract(motor):
    """Motor claims of which nobody can be erased: they lie in plain."""
    return motor.model_copy(update={"erasure": None})


@pytest.fixture
def judged(contract, motor_rules, params, tmp_path):
    """Return a function: the judgement on a fold of the claims, by months, with or without a cache."""
    folders = itertools.count()

    def give(claims, cache=None, *, rules=motor_rules, as_of=AS_OF, **options):
        folder = tmp_path / f"fold-{next(folders)}"
        manifest = fold_of(claims, contract, folder)
        table = table_of_fold(folder, manifest, contract, NO_KEYS, rules=rules, cache=cache, **options)
        return judge_table(
            table, contract, params, rules=rules, as_of=as_of, subject_digest="ab" * 32, tfdv_python=None
        )

    return give


@pytest.fixture
def judged_whole(contract, motor_rules, params):
    def give(claims):
        return judge(
            claims, contract, params, rules=motor_rules, as_of=AS_OF, subject_digest="ab" * 32, tfdv_python=None
        )

    return give


def told(judgement):
    """Return all that a judgement says; rows set aside have no order."""
    return judgement.verdict, sorted(judgement.set_aside)


def first_half(make_claims):
    """Return claims of six months."""
    claims = make_claims(2 * ROWS)
    return claims[claims["event_time"].dt.month <= 6].head(ROWS).reset_index(drop=True)


def kept_in(cache):
    return {path.stem for path in cache.folder.rglob("*.partial")}


ROWS = 200  # over the first half of 2024
changes = st.lists(
    st.tuples(st.sampled_from(CHANGES), st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=40, unique=True)),
    max_size=3,
)
months = st.sets(st.integers(1, 6), max_size=4)


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=changes, second=changes, without=months, then_without=months, rows_at_once=st.sampled_from([1, 60, 10_000])
)
def test_months_that_were_judged_before_give_the_verdict_from_scratch(
    make_claims, judged, judged_whole, tmp_path, first, second, without, then_without, rows_at_once
):
    """Whatever is wrong with the claims, and however many months change, go, come back or are judged together."""
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    for happened, gone in ((first, without), (second, then_without)):
        for change, rows in happened:
            change(claims, rows)
        present = claims[~claims["event_time"].dt.month.isin(gone)].reset_index(drop=True)
        expected = told(judged_whole(present))
        assert told(judged(present, cache, rows_at_once=rows_at_once)) == expected
        assert told(judged(present)) == expected


def test_tomorrow_judges_only_the_months_that_changed(make_claims, judged, tmp_path):
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    judged(claims, cache)
    before = kept_in(cache)
    assert len(before) == 6
    claims.loc[claims["event_time"].dt.month == 5, "region"] = "north"
    judged(claims, cache)
    assert len(kept_in(cache) - before) == 1


def test_what_was_kept_is_what_is_told(make_claims, judged, tmp_path):
    """Without this the cache might never be read, and nobody would notice but by the clock."""
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    judged(claims, cache)
    inputs = min(kept_in(cache))
    partial = cache.take(inputs, None)
    broken = dict.fromkeys(partial.summary.broken, 1)
    cache.keep(inputs, replace(partial, summary=replace(partial.summary, broken=broken)), None)
    found = {finding.code: finding for finding in judged(claims, cache).verdict.findings}
    assert found["DATA147"].count == 1


@pytest.mark.parametrize("damage", ["flip", "no record", "another's", "half"])
def test_a_damaged_entry_is_judged_anew_and_mended(make_claims, judged, tmp_path, damage):
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    claims.loc[:9, "driver_age_years"] = 7.0
    expected = told(judged(claims, cache))
    names = sorted(kept_in(cache))
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        content = cache.folder / name[:2] / f"{name}.partial"
        record = content.with_suffix(".json")
        whole = content.read_bytes()
        if damage == "flip":
            content.write_bytes(whole.replace(b'"rows": ', b'"rows": 1', 1))
            assert content.read_bytes() != whole
        elif damage == "no record":
            record.unlink()
        elif damage == "another's":
            shutil.copy(cache.folder / other[:2] / f"{other}.partial", content)
            shutil.copy(cache.folder / other[:2] / f"{other}.json", record)
        else:  # as a killed process leaves it: content without its record, under a name of its own
            content.rename(content.with_name(f".{name}.4711"))
            record.unlink()
    assert told(judged(claims, cache)) == expected
    assert all(cache.take(name, None) is not None for name in names)


def test_other_rules_judge_anew(make_claims, judged, motor_rules, tmp_path):
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    claims.loc[:2, "driver_age_years"] = 17.0
    judged(claims, cache)
    rules = tmp_path / "rules"
    shutil.copytree(motor_rules, rules)
    suite = json.loads((rules / "suite.json").read_text())
    (rule,) = (one for one in suite["expectations"] if one["meta"]["code"] == "GX502")
    rule["kwargs"]["min_value"] = 18
    (rules / "suite.json").write_text(json.dumps(suite))
    found = {finding.code: finding for finding in judged(claims, cache, rules=rules).verdict.findings}
    assert (found["GX502"].outcome, found["GX502"].count) == (Outcome.FAILED, 3)


def test_a_month_judged_at_a_later_date_does_not_hide_that_it_lies_in_the_future(make_claims, judged, tmp_path):
    cache = PartialCache(tmp_path / "cache")
    claims = first_half(make_claims)
    judged(claims, cache)
    early = date(2024, 5, 15)
    expected = told(judged(claims, as_of=early))
    assert {f.code for f in expected[0].findings if f.outcome is Outcome.FAILED} >= {"DATA006", "DATA007"}
    assert told(judged(claims, cache, as_of=early)) == expected
    assert told(judged(claims, cache)) == told(judged(claims))


def test_a_rule_that_no_count_can_tell_sees_its_whole_column(make_claims, judged, motor_rules, tmp_path):
    """The median of the whole is none of the months' medians; a value that two months share is in neither twice."""
    rules = tmp_path / "rules"
    shutil.copytree(motor_rules, rules)
    suite = json.loads((rules / "suite.json").read_text())
    for code, kind, severity, kwargs in (
        ("GX901", "expect_column_median_to_be_between", "stop", {"column": "vehicle_value_eur", "max_value": 9_100}),
        ("GX902", "expect_column_values_to_be_unique", "quarantine", {"column": "phone_id"}),
    ):
        suite["expectations"].append(
            {"type": kind, "kwargs": kwargs, "meta": {"code": code, "title": "a rule", "severity": severity}}
        )
    (rules / "suite.json").write_text(json.dumps(suite))
    claims = first_half(make_claims)
    claims.loc[[3, 4], "phone_id"] = "T-shared"
    assert claims["event_time"].dt.month[3] != claims["event_time"].dt.month[4]
    cache = PartialCache(tmp_path / "cache")
    for _ in range(2):  # judged, and from the cache
        judgement = judged(claims, cache, rules=rules)
        found = {finding.code: finding for finding in judgement.verdict.findings}
        assert found["GX901"].outcome is Outcome.FAILED
        assert (found["GX902"].count, [one.code for one in judgement.set_aside].count("GX902")) == (2, 2)


def test_figures_for_tfdv_add_up_to_those_of_the_whole(make_claims, contract, motor_rules, tmp_path):
    claims = first_half(make_claims).sort_values("claim_id", ignore_index=True)
    claims.loc[::7, "region"] = None
    manifest = fold_of(claims, contract, tmp_path / "fold")
    judges = read_judges(contract, motor_rules)
    described = []
    for rows_at_once in (1, 10_000):
        table = table_of_fold(
            tmp_path / "fold", manifest, contract, NO_KEYS, rules=motor_rules, cache=None, rows_at_once=rows_at_once
        )
        described.append(add_descriptions(one.summary.description for one in table.partials(judges, AS_OF)))
    assert described[0] == described[1]
    whole = described[0]
    assert (whole.rows, whole.columns["region"].known) == (ROWS, int(claims["region"].notna().sum()))
    assert whole.columns["region"].counts == claims["region"].value_counts().to_dict()
    ages = claims["driver_age_years"]
    found = whole.columns["driver_age_years"]
    assert (found.least, found.most, found.zeros) == (ages.min(), ages.max(), 0)
    assert found.mean == pytest.approx(ages.mean())
    assert found.squares / ROWS == pytest.approx(ages.var(ddof=0))


def test_a_changed_byte_of_a_month_is_named(make_claims, contract, motor_rules, params, tmp_path):
    manifest = fold_of(make_claims(60), contract, tmp_path / "fold")
    victim = tmp_path / "fold" / "2024-03.parquet"
    flip_a_byte(victim)
    table = table_of_fold(tmp_path / "fold", manifest, contract, NO_KEYS, rules=motor_rules, cache=None)
    with pytest.raises(Tampered, match=r"2024-03\.parquet"):
        judge_table(table, contract, params, rules=motor_rules, as_of=AS_OF, subject_digest="", tfdv_python=None)


def test_the_cache_keeps_what_was_used_last(make_claims, judged, tmp_path):
    cache = PartialCache(tmp_path / "cache", most_bytes=0)
    claims = make_claims(60)
    assert told(judged(claims, cache)) == told(judged(claims))
    assert kept_in(cache) == set()
