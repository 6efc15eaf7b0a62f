"""What the corpus' figures count, and that harmless changes stop nothing."""

import pytest

from benchmarks._validation_corpus import figures_of
from benchmarks.corpus import MEASURING_SEEDS, TUNING_SEEDS
from benchmarks.corpus.clean import CHANGES, CLEAN_SEEDS
from benchmarks.corpus.family import FAMILIES, Guard
from benchmarks.corpus.judging import Noticed, Told, Tried, TriedClean, clean_findings, try_clean, try_family
from benchmarks.corpus.runs import clean_cases
from benchmarks.corpus.scenes import shared_data

NOBODY = Noticed(None, frozenset(), False)


def tried(noticed: Noticed, column: str | None = "TX_AMOUNT") -> Tried:
    return Tried("nulls_in_number", "third", "handbook", 1, column, noticed, 0.1)


def test_a_snapshot_counts_as_caught_and_by_its_code_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    right = Noticed(Guard.VERDICT, frozenset({Told("DATA111", "TX_AMOUNT")}), False)
    elsewhere = Noticed(Guard.VERDICT, frozenset({Told("DATA111", "CUSTOMER_ID", stops=True)}), True)
    sound = [TriedClean("growth", "handbook", 1, noticed, 0.1) for noticed in (NOBODY, elsewhere)]
    found = figures_of([tried(right), tried(elsewhere), tried(NOBODY)], sound)
    counts = {name: figure.value for name, figure in found.items()}
    assert counts == {
        "corpus_total": 3,
        "corpus_caught": 2,
        "corpus_right_code": 1,
        "clean_total": 2,
        "false_rejects": 1,
    }
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["other code", "missed", "stopped for nothing"]


def test_nothing_was_tuned_on_what_is_measured() -> None:
    assert not {*TUNING_SEEDS, *CLEAN_SEEDS["tuning"]} & {*MEASURING_SEEDS, *CLEAN_SEEDS["measuring"]}
    assert len(FAMILIES) >= 40
    assert len(clean_cases(seeds=CLEAN_SEEDS["measuring"])) >= 100


@pytest.mark.parametrize("change", CHANGES)
def test_a_harmless_change_stops_nothing(change: str) -> None:
    if not (shared_data() / "handbook_transactions.parquet").is_file():
        pytest.skip("the public data is not there (FRAUD_ML_SHARED)")
    assert try_clean(change, "handbook", TUNING_SEEDS[0]).noticed == NOBODY


def test_a_month_that_stops_is_news_where_an_earlier_one_warned() -> None:
    if not (shared_data() / "carclaims.csv").is_file():
        pytest.skip("the public data is not there (FRAUD_ML_SHARED)")
    known = {told for told in clean_findings("carclaims", 304).findings if told.code == "DATA101"}
    assert {(told.month, told.stops) for told in known} == {("1996-03", False)}  # fewer claims, in the history
    found = try_family("volume_lost", "a quarter", "carclaims", 304)
    assert found.right_code
    assert Told("DATA101", "", "1996-04", stops=True) in found.noticed.findings
    assert not known & found.noticed.findings
