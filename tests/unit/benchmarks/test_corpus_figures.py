"""What the corpus' figures count, and that harmless changes stop nothing."""

import pytest

from benchmarks._validation_corpus import figures_of
from benchmarks.corpus import MEASURING_SEEDS, TUNING_SEEDS
from benchmarks.corpus.clean import CHANGES, CLEAN_SEEDS
from benchmarks.corpus.family import FAMILIES, Guard
from benchmarks.corpus.judging import Noticed, Tried, TriedClean, try_clean
from benchmarks.corpus.runs import clean_cases
from benchmarks.corpus.scenes import shared_data

NOBODY = Noticed(None, frozenset(), False)


def tried(noticed: Noticed, column: str | None = "TX_AMOUNT") -> Tried:
    return Tried("nulls_in_number", "third", "handbook", 1, column, noticed, 0.1)


def test_a_snapshot_counts_as_caught_and_by_its_code_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    right = Noticed(Guard.VERDICT, frozenset({("DATA111", "TX_AMOUNT")}), False)
    elsewhere = Noticed(Guard.VERDICT, frozenset({("DATA111", "CUSTOMER_ID")}), True)
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
