"""The fold is each claim's latest row, once: the same bytes for any threads and cache, and one window's own answer."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.contract import Contract
from fraud_ml.data.fold import Fold, fold, read_fold, verify_fold
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.errors import BadInput, Tampered, Unavailable
from tests.tampering import flip_a_byte
from tests.tiny_snapshots import Row, frozen

ROWS: list[Row] = [
    ("C1", "2024-01-03", "2024-01-05", 10.0, None),
    ("C2", "2024-01-20", "2024-01-22", 20.0, None),
    ("C3", "2024-02-02", "2024-02-04", 30.0, None),
    ("C1", "2024-01-03", "2024-02-11", 11.0, "confirmed"),
    ("C4", "2024-03-01", "2024-03-02", 40.0, None),
]
MOVED: Row = ("C2", "2024-02-20", "2024-03-09", 20.0, None)  # it happened a month later than was thought


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return tmp_path / "snapshot"


def folded(snapshot: Path, rows: list[Row], contract: Contract, into: Path, **options: object) -> Fold:
    return fold(snapshot, frozen(snapshot, rows, contract), contract, into, **options)  # type: ignore[arg-type]


def test_claim_stands_once_in_the_month_of_its_latest_row(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    done = folded(snapshot, [*ROWS, MOVED], contract, tmp_path / "claims")
    months = {name: pd.read_parquet(tmp_path / "claims" / name) for name in done.manifest.files}

    assert {name: frame["claim_id"].tolist() for name, frame in months.items()} == {
        "2024-01.parquet": ["C1"],
        "2024-02.parquet": ["C2", "C3"],
        "2024-03.parquet": ["C4"],
    }
    assert months["2024-01.parquet"][["amount", "outcome"]].to_numpy().tolist() == [[11.0, "confirmed"]]
    assert done.manifest.claims == 4


def test_claim_that_moves_away_and_back_is_in_its_first_month(
    contract: Contract, snapshot: Path, tmp_path: Path
) -> None:
    back = ("C2", "2024-01-20", "2024-04-01", 25.0, None)
    done = folded(snapshot, [*ROWS, MOVED, back], contract, tmp_path / "claims")
    claims = read_fold(tmp_path / "claims", contract, snapshot_digest=done.manifest.snapshot_digest)

    assert claims["claim_id"].tolist() == ["C1", "C2", "C3", "C4"]
    assert claims.loc[1, "amount"] == 25.0
    assert pd.read_parquet(tmp_path / "claims" / "2024-02.parquet")["claim_id"].tolist() == ["C3"]


def test_moment_told_in_two_ways_is_one_claim_whatever_the_order(
    contract: Contract, snapshot: Path, tmp_path: Path
) -> None:
    one: Row = ("C1", "2024-01-09", "2024-02-11", 12.0, "cleared")
    for number, rows in enumerate(([*ROWS, one], [one, *ROWS])):
        folded(tmp_path / f"{number}", rows, contract, tmp_path / f"claims-{number}")
    months = [pd.read_parquet(tmp_path / f"claims-{number}" / "2024-01.parquet") for number in (0, 1)]

    assert months[0].equals(months[1])
    assert months[0].set_index("claim_id")["amount"].to_dict() == {"C1": 12.0, "C2": 20.0}


DAYS = st.dates(date(2024, 1, 1), date(2024, 4, 30))


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    moments = draw(st.sets(st.tuples(st.sampled_from("ABCDEFG"), st.integers(0, 200)), min_size=1, max_size=40))
    rows = []
    for claim, delay in sorted(moments):
        happened = draw(DAYS)
        known = datetime(2024, 4, 30) + timedelta(days=delay)
        amount, outcome = draw(st.floats(0, 9, width=16)), draw(st.sampled_from([None, "confirmed", "cleared"]))
        rows.append((claim, happened.isoformat(), known.isoformat(), amount, outcome))
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=logs(), threads=st.sampled_from([1, 2, 5]))
def test_fold_equals_the_latest_row_of_each_claim(
    rows: list[Row], threads: int, contract: Contract, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("fold")
    done = folded(place / "snapshot", rows, contract, place / "claims", threads=threads)
    claims = read_fold(place / "claims", contract, snapshot_digest=done.manifest.snapshot_digest)
    latest = {claim: (happened, amount, outcome) for claim, happened, _, amount, outcome in sorted(rows, key=_known)}

    told = {
        row.claim_id: (f"{row.happened:%Y-%m-%d}", row.amount, None if pd.isna(row.outcome) else row.outcome)
        for row in claims.itertuples()
    }
    assert told == latest
    assert claims["claim_id"].tolist() == sorted(latest)


def _known(row: Row) -> datetime:
    return datetime.fromisoformat(row[2])


def many(claims: int) -> list[Row]:
    """Claims of three months, each told twice; every ninth moves to another month the second time."""
    rows: list[Row] = []
    for number in range(claims):
        begin = date(2024, 1, 1) + timedelta(days=number % 90)
        moved = begin + timedelta(days=31 if number % 9 == 0 else 0)
        for happened, days, amount in ((begin, 1, 5.0), (moved, 130, float(number))):
            known = (begin + timedelta(days=days)).isoformat()
            rows.append((f"C{number * 7919 % 100_003:06d}", happened.isoformat(), known, amount, None))
    return rows


def test_bytes_do_not_depend_on_the_number_of_threads(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    manifest = frozen(snapshot, many(60_000), contract)
    one, two, many_threads = (
        fold(snapshot, manifest, contract, tmp_path / f"claims-{threads}", threads=threads).manifest
        for threads in (1, 2, 7)
    )

    assert one == two == many_threads
    assert one.claims == 60_000


def test_next_day_folds_only_the_months_its_rows_touch(contract: Contract, tmp_path: Path) -> None:
    cache = FoldCache(tmp_path / "cache")
    first = folded(tmp_path / "first", ROWS, contract, tmp_path / "a", cache=cache)
    again = folded(tmp_path / "again", ROWS, contract, tmp_path / "b", cache=cache)
    late = ("C3", "2024-02-02", "2024-06-01", 31.0, "cleared")
    later = folded(tmp_path / "later", [*ROWS, late], contract, tmp_path / "c", cache=cache)
    moved = folded(tmp_path / "moved", [*ROWS, MOVED], contract, tmp_path / "d", cache=cache)
    alone = folded(tmp_path / "alone", [*ROWS, MOVED], contract, tmp_path / "e")

    assert (first.folded, first.reused) == (3, 0)
    assert (again.folded, again.reused, again.manifest) == (0, 3, first.manifest)
    assert (later.folded, later.reused) == (1, 2)
    assert moved.folded == 3  # January lost a claim, February got one, and March's log partition holds that row
    assert moved.manifest == alone.manifest


def test_month_that_only_lost_a_claim_is_folded_again(contract: Contract, tmp_path: Path) -> None:
    cache = FoldCache(tmp_path / "cache")
    late_rows = [*ROWS, ("C5", "2024-03-03", "2024-05-04", 1.0, None)]
    folded(tmp_path / "first", late_rows, contract, tmp_path / "a", cache=cache)
    gone = ("C2", "2024-05-20", "2024-06-09", 20.0, None)
    done = folded(tmp_path / "second", [*late_rows, gone], contract, tmp_path / "b", cache=cache)

    assert (done.folded, done.reused) == (2, 2)
    assert pd.read_parquet(tmp_path / "b" / "2024-01.parquet")["claim_id"].tolist() == ["C1"]


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_changed_month_in_the_cache_is_named_and_never_taken(contract: Contract, tmp_path: Path, suffix: str) -> None:
    cache = FoldCache(tmp_path / "cache")
    first = folded(tmp_path / "first", ROWS, contract, tmp_path / "a", cache=cache)
    assert cache.verify() == 3
    damaged = next((tmp_path / "cache").rglob(f"*{suffix}"))
    flip_a_byte(damaged)

    with pytest.raises(Tampered) as noticed:
        cache.verify()
    assert noticed.value.facts["path"] == str(damaged)
    again = folded(tmp_path / "again", ROWS, contract, tmp_path / "b", cache=cache)
    assert (again.folded, again.reused, again.manifest) == (1, 2, first.manifest)
    assert cache.verify() == 3  # mended


def test_cache_keeps_within_its_bytes_what_was_used_last(contract: Contract, tmp_path: Path) -> None:
    size = 0
    for name in ("a", "b"):
        cache = FoldCache(tmp_path / "cache", most_bytes=size or 10**9)
        folded(tmp_path / f"snapshot-{name}", ROWS, contract, tmp_path / name, cache=cache)
        kept = sorted((tmp_path / "cache").rglob("*.parquet"))
        size = sum(path.stat().st_size for path in kept) - 1
    assert len(kept) == 2
    assert cache.verify() == 2


def test_fold_needs_no_cache_that_can_be_written(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    done = folded(snapshot, ROWS, contract, tmp_path / "claims", cache=FoldCache(tmp_path / "cache"))

    assert (done.folded, done.reused) == (3, 0)


def test_changed_lost_and_added_files_are_named(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    manifest = frozen(snapshot, ROWS, contract)
    claims = tmp_path / "claims"
    changes = {
        "2024-01.parquet": lambda path: path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:]),
        "2024-02.parquet": Path.unlink,
        "2025-01.parquet": lambda path: path.write_bytes(b""),
        "manifest.json": lambda path: path.write_text(path.read_text().replace('"claims": 4', '"claims": 5')),
    }
    for name, change in changes.items():
        fold(snapshot, manifest, contract, claims)
        change(claims / name)
        with pytest.raises(Tampered) as noticed:
            verify_fold(claims)
        assert noticed.value.facts["path"] == str(claims / name)


def test_fold_of_another_snapshot_is_not_read(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    folded(snapshot, ROWS, contract, tmp_path / "claims")
    with pytest.raises(Tampered, match="holds the claims of another snapshot"):
        read_fold(tmp_path / "claims", contract, snapshot_digest="0" * 64)
    with pytest.raises(Unavailable, match="run the validate stage"):
        read_fold(tmp_path / "nothing", contract, snapshot_digest="0" * 64)


def test_column_the_snapshot_lacks_is_told(contract: Contract, snapshot: Path, tmp_path: Path) -> None:
    manifest = frozen(snapshot, ROWS, contract)
    grown = contract.model_copy(
        update={"columns": (*contract.columns, contract.column("kind").model_copy(update={"name": "trailer"}))}
    )
    with pytest.raises(BadInput, match="has no column `trailer`"):
        fold(snapshot, manifest, grown, tmp_path / "claims")
    assert not (tmp_path / "claims").exists()
