"""Log rows on this disk: read from a snapshot, and frozen into one by the data room's own cut, without the store."""

import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import SnapshotManifest, file_digest
from fraud_ml.contract import Contract
from fraud_ml.data.layout import lay_out
from fraud_ml.data.log import BatchManifest, ClaimLog, LogObject, recorded_until
from fraud_ml.data.parquet import by_recorded_day, to_parquet
from fraud_ml.data.sealing import open_rows
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.data.tables import EVENT_TIME, RECORDED_AT, log_columns, log_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def log_rows(snapshot: Snapshot, contract: Contract, *, columns: Iterable[str] = ()) -> "pd.DataFrame":
    """Return every row of the log recorded up to the snapshot's date, as it lies at rest: personal values are sealed.

    columns: those that are wanted, where not all are. All rows are held in memory.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    names = list(columns) or list(log_columns(contract))
    parts = [parquet.read_table(snapshot.folder / name, columns=names) for name in sorted(snapshot.manifest.files)]
    rows: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return rows


def opened(rows: "pd.DataFrame", snapshot: Snapshot) -> "pd.DataFrame":
    """Return the snapshot's log rows with their personal values, as far as nobody was erased."""
    import pyarrow as pa

    contract = snapshot.contract
    if contract.erasure is None:
        return rows
    table = pa.Table.from_pandas(rows, schema=log_schema(contract), preserve_index=False)
    plain: pd.DataFrame = open_rows(table, contract, snapshot.keys).to_pandas()
    return plain


class LogCopy(ClaimLog):
    """Log rows in a folder, as one batch. Read like the log in the object store; nothing lands here."""

    def __init__(self, rows: "pa.Table", contract: Contract, folder: Path) -> None:
        """Write one file a recorded day into the existing, empty `folder`; rows: of `log_schema`, in any order."""
        self._folder = folder
        objects = []
        for day, part in by_recorded_day(rows.sort_by([(RECORDED_AT, "ascending"), (contract.key, "ascending")])):
            path = folder / f"{day.isoformat()}.parquet"
            path.write_bytes(to_parquet(part))
            objects.append(LogObject(day.isoformat(), part.num_rows, file_digest(path)))
        self._batch = BatchManifest(
            dataset=contract.dataset,
            id="copy",
            rows=rows.num_rows,
            source="copy",
            source_digest="",
            first_event=_first(rows, EVENT_TIME),
            last_event=_last(rows, EVENT_TIME),
            first_recorded=_first(rows, RECORDED_AT),
            last_recorded=_last(rows, RECORDED_AT),
            objects=tuple(objects),
        ).sealed()

    def batches(self) -> tuple[BatchManifest, ...]:
        return (self._batch,)

    def fetch(self, wanted: Iterable[tuple[BatchManifest, LogObject]], folder: Path) -> list[Path]:  # noqa: ARG002
        return [self._folder / f"{item.day}.parquet" for _, item in wanted]


def freeze_copy(rows: "pd.DataFrame", contract: Contract, as_of: date, folder: Path) -> SnapshotManifest:
    """Freeze what of `rows` was recorded on or before `as_of` into the new `folder`, byte for byte as `freeze` does.

    rows: log rows in any order, recorded at any time, some of them by `as_of`.
    """
    import pyarrow as pa

    table = pa.Table.from_pandas(rows, schema=log_schema(contract), preserve_index=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="log-copy-", dir=folder.parent) as scratch:
        log = LogCopy(table, contract, Path(scratch))
        batches = tuple(batch for batch in log.batches() if recorded_until(batch, as_of))
        return lay_out(log, contract, as_of, batches, folder)


def _first(rows: "pa.Table", name: str) -> str:
    import pyarrow.compute as pc

    return str(pc.min(rows[name]).as_py().isoformat())


def _last(rows: "pa.Table", name: str) -> str:
    import pyarrow.compute as pc

    return str(pc.max(rows[name]).as_py().isoformat())
