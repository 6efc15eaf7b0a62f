"""Forward folds answer for what is later than all they learned from, and the last of them is the windows themselves."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.artifacts import FeatureReport, Window, load
from fraud_ml.errors import BadInput, Undefined
from fraud_ml.features.windows import REPORT, read_window
from fraud_ml.params import FeatureParams
from fraud_ml.tuning.folds import Fold, fold_spans, lay_folds
from tests.toy_claims import toy_claims, toy_contract, toy_workspace, write_windows

GAP_DAYS = 14
PARAMS = FeatureParams(test_months=6, validation_months=3, gap_days=GAP_DAYS, min_positives=5)


def windows(train_end: str = "2024-03-18", begin: str = "2024-04-01", end: str = "2024-07-01") -> FeatureReport:
    spans = (Window("2023-01-01", train_end, 1, 1), Window(begin, end, 1, 1), Window(end, "2025-01-01", 1, 1))
    return FeatureReport("toy", "2024-12-31", "5" * 64, (), 3, *spans, left_out={})


def learned_from(root: Path) -> tuple[pd.DataFrame, FeatureReport]:
    """Return train and validation of toy claims, split with a gap."""
    workspace, _ = toy_workspace(root)
    write_windows(workspace, toy_claims(), toy_contract(), date(2024, 12, 31), PARAMS)
    frames = [read_window(workspace.features, name) for name in ("train", "validation")]
    return pd.concat(frames, ignore_index=True), load(FeatureReport, workspace.features / REPORT)


def lay(claims: pd.DataFrame, report: FeatureReport, count: int = 3) -> tuple[Fold, ...]:
    return lay_folds(claims, toy_contract().features, report, PARAMS, count)


def test_each_fold_ends_where_the_past_of_the_next_one_ends_and_answers_for_as_many_days() -> None:
    spans = fold_spans(windows(), GAP_DAYS, 3)
    assert (spans[-1].begin, spans[-1].until) == (date(2024, 4, 1), date(2024, 7, 1))
    assert [span.past_until for span in spans[1:]] == [span.until for span in spans[:-1]]
    assert {(span.begin - span.past_until).days for span in spans} == {GAP_DAYS}
    assert {(span.until - span.begin).days for span in spans} == {91}


def test_the_last_fold_is_the_windows_themselves(tmp_path: Path) -> None:
    claims, report = learned_from(tmp_path)
    last = lay(claims, report)[-1]
    assert (len(last.past.labels), len(last.ahead.labels)) == (report.train.rows, report.validation.rows)
    assert int(last.ahead.labels.sum()) == report.validation.positives


def test_no_claim_that_is_answered_for_or_lies_in_the_gap_is_learned_from(tmp_path: Path) -> None:
    claims, report = learned_from(tmp_path)
    claims["age_years"] = (claims["event_time"] - pd.Timestamp("2023-01-01")).dt.days.astype("float64")
    folds = lay(claims, report)
    for fold in folds:
        assert fold.past.columns["age_years"].max() + GAP_DAYS < fold.ahead.columns["age_years"].min() + 1
    assert [len(fold.past.labels) for fold in folds] == sorted({len(fold.past.labels) for fold in folds})


def test_words_of_later_claims_are_not_known_to_a_fold(tmp_path: Path) -> None:
    claims, report = learned_from(tmp_path)
    claims.loc[claims["event_time"] >= report.validation.begin, "garage"] = "abroad"
    for fold in lay(claims, report):
        assert "abroad" not in str(fold.inputs)


@pytest.mark.parametrize("part", ["before", "[2024-"])
def test_a_fold_without_enough_frauds_is_refused_by_its_dates(tmp_path: Path, part: str) -> None:
    claims, report = learned_from(tmp_path)
    first = fold_spans(report, GAP_DAYS, 3)[0]
    until = first.past_until if part == "before" else first.until
    since = "2000-01-01" if part == "before" else first.begin
    inside = (claims["event_time"] >= pd.Timestamp(since)) & (claims["event_time"] < pd.Timestamp(until))
    claims.loc[inside, "label"] = 0
    named = f"before {first.past_until}" if part == "before" else rf"\[{first.begin}, {first.until}\)"
    with pytest.raises(Undefined, match=rf"fold 1 of 3, {named}.*at least 5 confirmed frauds.*fewer --folds"):
        lay(claims, report)


def test_more_folds_than_history_are_refused(tmp_path: Path) -> None:
    claims, report = learned_from(tmp_path)
    with pytest.raises(Undefined, match=r"fold 1 of 9.*0 frauds in 0 claims"):
        lay(claims, report, 9)


def test_a_column_that_began_after_a_folds_past_is_named_with_the_fold(tmp_path: Path) -> None:
    claims, report = learned_from(tmp_path)
    first = fold_spans(report, GAP_DAYS, 3)[0]
    claims.loc[claims["event_time"] < pd.Timestamp(first.past_until), "garage"] = None
    with pytest.raises(BadInput, match=r"fold 1 of 3, before .*column `garage`.*fewer --folds"):
        lay(claims, report)


def test_windows_of_another_gap_are_refused() -> None:
    with pytest.raises(BadInput, match=r"another gap.*14 days between.*run the features stage again"):
        fold_spans(windows(), 7, 3)
