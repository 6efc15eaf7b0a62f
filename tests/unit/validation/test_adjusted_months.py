"""A month that changed in a few rows is told from its former partial and those rows: by the byte, as judged whole."""

import itertools
import json
import shutil
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import file_digest
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.validation.changed_months import EarlierFolds
from fraud_ml.validation.months import table_of_fold
from fraud_ml.validation.partial import to_bytes
from fraud_ml.validation.partial_cache import Judged, PartialCache, inputs_of, month_of
from fraud_ml.validation.partition import read_judges
from fraud_ml.validation.profiling import EXAMPLES
from fraud_ml.validation.quarantine import digest_key
from fraud_ml.validation.uniqueness import hashes_of, less, together
from tests.tampering import flip_a_byte
from tests.unit.validation.changes_to_claims import CHANGES, blanks, no_age
from tests.unit.validation.folded_claims import fold_of

AS_OF = date(2024, 12, 31)
NO_KEYS = SnapshotKeys("", {})
ROWS = 240  # over two months


@pytest.fixture(scope="module")
def contract(motor):
    """Motor claims of which nobody can be erased: they lie in plain."""
    return motor.model_copy(update={"erasure": None})


class Place:
    """Where claims are folded and judged day after day: both caches, and a folder for each fold."""

    def __init__(self, home, contract, rules):
        self.contract, self.rules, self.home = contract, rules, home
        self.folds, self.cache = FoldCache(home / "folds"), PartialCache(home / "partials")
        self._days = itertools.count()

    def judged(self, claims, *, as_of=AS_OF, whole=False, rules=None):
        """Return file -> the bytes of its month's partial; `whole` looks into no cache."""
        folder = self.home / f"day-{next(self._days)}"
        manifest = fold_of(claims, self.contract, folder)
        for name, sha256 in manifest.files.items():
            self.folds.keep(sha256, folder / name, 0)
        table = table_of_fold(
            folder,
            manifest,
            self.contract,
            NO_KEYS,
            rules=rules or self.rules,
            cache=None if whole else self.cache,
            earlier=None if whole else EarlierFolds(self.folds, manifest.files),
        )
        judges = read_judges(self.contract, rules or self.rules)
        return {partial.summary.month: to_bytes(partial) for partial in table.partials(judges, as_of)}

    def falsify(self):
        """Let what is kept of each month say that one claim more is labelled a fraud."""
        for path in self.cache.folder.rglob("*.partial"):
            partial = self.cache.take(path.stem, None)
            profile = replace(partial.summary.profile, positive=partial.summary.profile.positive + 1)
            self.cache.keep(path.stem, replace(partial, summary=replace(partial.summary, profile=profile)), None)


@pytest.fixture
def place(tmp_path, contract, motor_rules):
    return Place(tmp_path, contract, motor_rules)


@pytest.fixture
def claims(make_claims):
    """Return claims of two months."""
    made = make_claims(7 * ROWS)
    return made[made["event_time"].dt.month <= 2].head(ROWS).reset_index(drop=True)


def told(content):
    """Return what a partial's bytes tell but for hashes."""
    return json.loads(content.partition(b"\n")[0])


some_rows = st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12, unique=True)
changes = st.lists(st.tuples(st.sampled_from(CHANGES), some_rows), max_size=3)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=changes, second=changes, gone=st.sets(st.integers(0, ROWS - 1), max_size=10), before=st.booleans())
def test_adjusted_is_by_the_byte_what_the_whole_month_gives(place, claims, first, second, gone, before):
    """Whatever was wrong with the claims and is now, whichever rows left, and those that come in before or between."""
    place = Place(place.home / f"{len(list(place.home.iterdir()))}", place.contract, place.rules)
    place.home.mkdir()
    claims = claims.copy()
    for change, rows in first:
        change(claims, rows)
    stay = ~claims.index.isin(gone)
    yesterday, today = (claims, claims[stay]) if before else (claims[stay], claims)
    yesterday, today = yesterday.reset_index(drop=True), today.reset_index(drop=True)
    place.judged(yesterday)
    for change, rows in second:
        change(today, [row for row in rows if row < len(today)] or [0])
    assert place.judged(today) == place.judged(today, whole=True)


def test_only_the_rows_that_differ_are_judged(place, claims):
    """Without this the months might always be judged whole, and nobody would notice but by the clock."""
    place.judged(claims)
    place.falsify()
    no_age(claims, [0, 1])
    assert claims["event_time"].dt.month[:2].tolist() == [1, 2]
    adjusted, whole = place.judged(claims), place.judged(claims, whole=True)
    for month in ("2024-01", "2024-02"):
        assert told(adjusted[month])["profile"]["positive"] == told(whole[month])["profile"]["positive"] + 1
        assert told(adjusted[month])["broken"] == told(whole[month])["broken"]


@pytest.mark.parametrize("loss", ["rows", "changed rows", "partial", "another day's rows", "other rules"])
def test_what_is_not_what_was_judged_is_judged_whole(place, claims, motor_rules, tmp_path, loss):
    place.judged(claims)
    rules = motor_rules
    if loss == "rows":
        shutil.rmtree(place.folds.folder)
    elif loss == "changed rows":
        for path in place.folds.folder.rglob("*.parquet"):
            flip_a_byte(path)
    elif loss == "partial":
        for path in place.cache.folder.rglob("*.partial"):
            path.unlink()
    elif loss == "another day's rows":
        no_age(claims, [2, 4])
        place.judged(claims)
        for name in ("2024-01.parquet", "2024-02.parquet"):
            first, second = (file_digest(place.home / day / name) for day in ("day-0", "day-1"))
            judged = Judged(inputs_of(second, place.contract, rules), first)
            place.cache.note_last(month_of(name, place.contract, rules), judged)
    else:
        rules = tmp_path / "rules"
        shutil.copytree(motor_rules, rules)
        suite = json.loads((rules / "suite.json").read_text())
        suite["expectations"][0]["meta"]["title"] += ", as agreed"
        (rules / "suite.json").write_text(json.dumps(suite))
    place.falsify()
    no_age(claims, [0, 1])
    assert place.judged(claims, rules=rules) == place.judged(claims, whole=True, rules=rules)


def test_rows_that_happened_after_the_as_of_date_are_not_adjusted_away(place, claims):
    """The former partial was made at a later date, at which none of its rows was late."""
    place.judged(claims)
    early = date(2024, 2, 10)
    happened = claims["event_time"].dt.date
    no_age(claims, [0, claims.index[(happened > date(2024, 2, 1)) & (happened < early)][0]])
    expected = place.judged(claims, as_of=early, whole=True)
    assert any(told(content)["late"] for content in expected.values())
    assert place.judged(claims, as_of=early) == expected


def test_where_a_row_that_was_an_example_left_another_one_takes_its_place(place, claims):
    """Which one it is stands in no partial: only the whole month knows the digests of all rows that break a rule."""
    blanks(claims, list(range(20)))
    examples = told(place.judged(claims)["2024-01"])["examples"]
    digests = next(found for name, found in examples.items() if name.endswith(" garage_id"))
    assert len(digests) == EXAMPLES
    mended = claims[claims["claim_id"].map(digest_key) == digests[0]].index
    assert len(mended) == 1
    claims.loc[mended, "garage_id"] = "G-000001"
    assert place.judged(claims) == place.judged(claims, whole=True)


@pytest.mark.parametrize(("values", "then"), [(40, 60), (40, 520), (480, 520), (520, 480), (700, 300)])
def test_a_column_that_gets_many_values_or_few_is_told_as_from_scratch(place, make_claims, values, then):
    made = make_claims(12 * 2200)
    claims = made[made["event_time"].dt.month == 3].reset_index(drop=True)
    assert len(claims) > 2200
    for many in (values, then):
        claims["garage_id"] = [f"G-{row if row < many else 0:06d}" for row in claims.index]
        adjusted = place.judged(claims)
    assert adjusted == place.judged(claims, whole=True)


def test_hashes_of_rows_are_taken_out_and_put_in():
    generator = np.random.default_rng(7)
    values = pd.Series(generator.integers(0, 50, 200).astype(str))
    left, stayed = hashes_of(values[:40]), hashes_of(values[40:])
    assert (less(hashes_of(values), left) == stayed).all()
    assert (together(stayed, left) == hashes_of(values)).all()
    with pytest.raises(ValueError, match="never there"):
        less(stayed, hashes_of(pd.Series(["50"])))
