"""Snapshots of a handful of claims, laid out as freezing does, without any server."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fraud_ml.artifacts import SnapshotManifest, file_digest
from fraud_ml.contract import Contract
from fraud_ml.data.parquet import by_recorded_month, to_parquet
from fraud_ml.data.tables import log_schema, merge_files

Row = tuple[str, str, str, float, str | None]  # claim, happened, known, amount, outcome


def frozen(folder: Path, rows: list[Row], contract: Contract) -> SnapshotManifest:
    """Leave the rows as a snapshot of closed months, as freezing does."""
    times = {"event_time": "happened", "recorded_at": "known"}
    frame = pd.DataFrame(rows, columns=["claim_id", "happened", "known", "amount", "outcome"])
    for name in ("happened", "known"):
        frame[name] = pd.to_datetime(frame[name])
    frame = frame.assign(kind="fire", **{name: frame[other] for name, other in times.items()})
    table = pa.Table.from_pandas(frame, schema=log_schema(contract), preserve_index=False)
    folder.mkdir(parents=True)
    (folder / "landed.parquet").write_bytes(to_parquet(table))
    merged = merge_files([folder / "landed.parquet"], contract)
    (folder / "landed.parquet").unlink()
    files = {}
    for month, part in by_recorded_month(merged):
        name = f"{month:%Y-%m}.parquet"
        (folder / name).write_bytes(to_parquet(part))
        files[name] = file_digest(folder / name)
    manifest = SnapshotManifest("tiny", "2024-12-31", "", merged.num_rows, files, ("b",))
    return replace(manifest, digest=manifest.content_digest())
