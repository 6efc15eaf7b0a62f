"""In whatever order a month's batches arrive, twice or late, the snapshot and its fold are the same bytes."""

import shutil
import tempfile
import uuid
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import FoldManifest, SnapshotManifest
from fraud_ml.contract import Contract
from fraud_ml.data.fold import fold
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.layout import lay_out
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.sources.files import SourceTable, read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.slow]

AS_OF = date(2024, 3, 28)


@dataclass(frozen=True)
class Month:
    """A log as files: all before March, then three days of March at a time, each in two parts."""

    files: tuple[Path, ...]
    rows: pd.DataFrame

    def known(self) -> pd.DataFrame:
        known = self.rows[self.rows["recorded_at"] < "2024-03-29"]
        return known.sort_values("recorded_at").drop_duplicates("claim_id", keep="last").sort_values("claim_id")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    rows = simulate("motor", claims=60, seed=11, begin=date(2024, 1, 1), end=date(2024, 3, 31))
    latest = rows.drop_duplicates("claim_id", keep="last")
    corrected = latest.iloc[:6].assign(recorded_at=pd.Timestamp("2024-03-20T18:30:00"))
    corrected["accident_date"] = corrected["accident_date"] - pd.Timedelta(days=31)  # it happened in another month
    corrected["claim_amount_eur"] = corrected["claim_amount_eur"] * 1.25
    judged = rows[rows["outcome"].notna()].drop_duplicates("claim_id", keep="last")
    reversed_ = judged.assign(
        recorded_at=pd.Timestamp("2024-03-26T18:30:00"),
        outcome=judged["outcome"].map({"confirmed": "cleared", "cleared": "confirmed"}),
    )
    assert len(reversed_) >= 3
    rows = pd.concat([rows, corrected, reversed_], ignore_index=True)
    rows = rows.sort_values(["recorded_at", "claim_id"]).drop_duplicates(["claim_id", "recorded_at"])
    folder = tmp_path_factory.mktemp("month")
    files = []
    in_march = rows["recorded_at"] >= "2024-03-01"
    for name, part in [("before", rows[~in_march]), *rows[in_march].groupby(rows["recorded_at"].dt.day // 3)]:
        for half, some in (("prompt", part.iloc[::2]), ("late", part.iloc[1::2])):
            if len(some):
                files.append(folder / f"{name}-{half}.parquet")
                write_rows(some, files[-1])
    return Month(tuple(files), rows)


def laid_out(
    files: list[Path], s3: Settings, motor: Contract, cache: FoldCache | None
) -> tuple[SnapshotManifest, FoldManifest, pd.DataFrame]:
    """Land the files in turn into an empty log; return its prefix, its fold, and the claims."""
    place = Path(tempfile.mkdtemp(prefix="fraud-ml-orders-"))
    own = Settings(home=place, values={**s3.values, "FRAUD_ML_CLAIMS_URL": f"s3://claims/{uuid.uuid4().hex[:8]}"})
    log = ClaimLog(own, motor)
    for file in files:
        source, rows = _parsed(file, motor)
        log.append(rows, source)
    manifest = lay_out(log, motor, AS_OF, log.batches(), place / "snapshot")
    claims = open_snapshot(place / "snapshot", motor).claims()
    folded = fold(place / "snapshot", manifest, motor, place / "claims", cache=cache).manifest
    shutil.rmtree(place)
    return manifest, folded, claims


_PARSED: dict[Path, tuple[SourceTable, pa.Table]] = {}


def _parsed(file: Path, motor: Contract) -> tuple[SourceTable, pa.Table]:
    """Read a file as landing does, but once for all orders."""
    if file not in _PARSED:
        source = read_file(file, motor)
        _PARSED[file] = (source, parse_rows(source, motor))
    return _PARSED[file]


@pytest.fixture(scope="module")
def in_order(
    month: Month, s3_settings: Settings, motor: Contract
) -> tuple[SnapshotManifest, FoldManifest, pd.DataFrame]:
    return laid_out(list(month.files), s3_settings, motor, None)


def test_the_month_holds_corrections_that_move_claims_and_labels_that_are_reversed(
    month: Month, in_order: tuple[SnapshotManifest, FoldManifest, pd.DataFrame]
) -> None:
    _, folded, claims = in_order
    known = month.known()

    assert len(month.files) > 10
    assert claims["claim_id"].tolist() == known["claim_id"].tolist()
    assert claims["outcome"].fillna("").tolist() == known["outcome"].fillna("").tolist()
    assert claims["accident_date"].tolist() == known["accident_date"].tolist()
    assert "2023-12.parquet" in folded.files  # only corrections lead there


@settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_landing_order_gives_the_same_snapshot_and_fold(
    data: st.DataObject,
    month: Month,
    in_order: tuple[SnapshotManifest, FoldManifest, pd.DataFrame],
    s3_settings: Settings,
    motor: Contract,
    tmp_path: Path,
) -> None:
    twice = data.draw(st.lists(st.sampled_from(month.files), max_size=6), label="landed twice")
    order = data.draw(st.permutations([*month.files, *twice]), label="landing order")
    cache = FoldCache(tmp_path / "cache") if data.draw(st.booleans(), label="with a cache") else None
    manifest, folded, _ = laid_out(order, s3_settings, motor, cache)

    assert (manifest.files, manifest.digest) == (in_order[0].files, in_order[0].digest)
    assert folded == in_order[1]
