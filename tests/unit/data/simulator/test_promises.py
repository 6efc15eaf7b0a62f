"""What the simulator promises about other amounts and other ends of the same log, and about writing it."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import file_digest
from fraud_ml.data.simulator import motor, simulate, simulate_with_truth, stream
from fraud_ml.data.simulator.motor.seasons import dealt, months_between
from fraud_ml.data.simulator.parts import PartFormat, write_parts
from fraud_ml.errors import BadInput

BEGIN, END = date(2023, 1, 1), date(2024, 3, 31)


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["recorded_at", "claim_id"], ignore_index=True)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), fewer=st.integers(1, 700), more=st.integers(1, 700))
def test_more_claims_hold_every_row_and_every_truth_of_fewer(seed: int, fewer: int, more: int) -> None:
    small, small_truth = simulate_with_truth("motor", claims=fewer, seed=seed, begin=BEGIN, end=END)
    large, large_truth = simulate_with_truth("motor", claims=fewer + more, seed=seed, begin=BEGIN, end=END)
    shared = large[large["claim_id"].isin(small["claim_id"])].reset_index(drop=True)
    known = large_truth.set_index("claim_id").loc[small_truth["claim_id"]].reset_index()

    pd.testing.assert_frame_equal(shared, small)
    pd.testing.assert_frame_equal(known, small_truth)
    assert large["claim_id"].nunique() == fewer + more


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), per_month=st.integers(1, 60), months=st.integers(1, 14))
def test_at_a_given_rate_a_later_end_begins_with_the_log_of_any_earlier_month(
    seed: int, per_month: int, months: int
) -> None:
    early = (pd.Timestamp(BEGIN) + pd.offsets.MonthEnd(months)).date()
    short, _ = simulate_with_truth("motor", per_month=per_month, seed=seed, begin=BEGIN, end=early)
    long, _ = simulate_with_truth("motor", per_month=per_month, seed=seed, begin=BEGIN, end=END)
    known = long[long["recorded_at"] < pd.Timestamp(early) + pd.Timedelta(days=1)].reset_index(drop=True)

    pd.testing.assert_frame_equal(known, short)


def test_another_begin_is_another_insurer() -> None:
    one, other = (simulate("motor", claims=200, seed=1, begin=begin, end=END) for begin in (BEGIN, date(2023, 2, 1)))

    assert not set(one["claim_id"]) & set(other["claim_id"])


@settings(max_examples=60, deadline=None)
@given(claims=st.integers(1, 30_000), more=st.integers(0, 3_000))
def test_claims_are_dealt_to_months_evenly_and_never_taken_back(claims: int, more: int) -> None:
    months = months_between(BEGIN, END)
    weights = np.array([month.weights.sum() for month in months])
    few, many = np.array(dealt(claims, months)), np.array(dealt(claims + more, months))

    assert few.sum() == claims
    assert (many >= few).all()
    assert np.abs(few - claims * weights / weights.sum()).max() < 2 + np.log2(claims)


def test_a_part_does_not_depend_on_how_many_claims_are_simulated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books, not parts, are what customers share: the second book's claims are the same in a part of their own."""
    first, second = (
        next(iter(stream("motor", claims=n, seed=4, begin=date(2024, 5, 1), end=date(2024, 5, 31))))
        for n in (1024, 3000)
    )

    assert second.truth.slice(0, 1024).equals(first.truth)


def test_large_months_come_in_parts_of_bounded_size_and_no_claim_twice() -> None:
    parts = list(stream("motor", claims=motor.CELL + 500, seed=4, begin=date(2024, 5, 1), end=date(2024, 5, 31)))
    names = [name for part in parts for name in part.truth["claim_id"].to_pylist()]

    assert [(part.first, part.truth.num_rows) for part in parts] == [(0, motor.CELL), (motor.CELL, 500)]
    assert len(set(names)) == motor.CELL + 500


@pytest.mark.parametrize("form", list(PartFormat))
def test_part_files_hold_the_log_and_the_truth_and_repeat_byte_for_byte(tmp_path: Path, form: PartFormat) -> None:
    what = {"claims": 400, "seed": 3, "begin": BEGIN, "end": END}
    said: list[str] = []
    for name in ("one", "two"):
        truth = tmp_path / f"{name}-truth.{form}"
        written = write_parts("motor", tmp_path / name, form=form, truth=truth, say=said.append, **what)  # type: ignore[arg-type]
    files = sorted((tmp_path / "one").iterdir())
    rows, known = simulate_with_truth("motor", **what)  # type: ignore[arg-type]
    read = pd.read_parquet if form is PartFormat.PARQUET else pd.read_csv
    log = ordered(pd.concat([read(file) for file in files]))

    assert (written.files, written.claims, written.rows) == (len(files), 400, len(rows)) == (15, 400, len(log))
    assert log["claim_id"].tolist() == rows["claim_id"].tolist()
    assert pd.to_datetime(log["recorded_at"]).tolist() == rows["recorded_at"].tolist()
    assert read(tmp_path / f"one-truth.{form}")["claim_id"].tolist() == known["claim_id"].tolist()
    assert [file_digest(file) for file in files] == [file_digest(tmp_path / "two" / file.name) for file in files]
    assert file_digest(tmp_path / f"one-truth.{form}") == file_digest(tmp_path / f"two-truth.{form}")
    assert len(said) == 30
    assert "2023-01: " in said[0]


def test_a_folder_or_truth_appears_whole_or_not_at_all_and_nothing_is_overwritten(tmp_path: Path) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    what = {"claims": 50, "seed": 3, "begin": BEGIN, "end": END}
    with pytest.raises(KeyboardInterrupt):
        write_parts("motor", tmp_path / "log", truth=tmp_path / "truth.csv", say=stop, **what)  # type: ignore[arg-type]
    assert not (tmp_path / "log").exists()
    assert not (tmp_path / "truth.csv").exists()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("x")
    for folder, truth in ((tmp_path / "mine", None), (tmp_path / "other", tmp_path / "truth.xlsx")):
        with pytest.raises(BadInput):
            write_parts("motor", folder, truth=truth, say=print, **what)  # type: ignore[arg-type]
    assert (tmp_path / "mine" / "kept.txt").read_text() == "x"


def test_either_a_number_in_all_or_one_a_month_must_be_given() -> None:
    for given_numbers in ({}, {"claims": 1, "per_month": 1}, {"per_month": 0}):
        with pytest.raises(BadInput):
            stream("motor", seed=1, begin=BEGIN, end=END, **given_numbers)
