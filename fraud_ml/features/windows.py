"""How the windows lie on disk, for the stages that learn and judge from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract, Kind

if TYPE_CHECKING:
    import pandas as pd

REPORT = "report.json"


def write_window(frame: "pd.DataFrame", path: Path, contract: Contract) -> None:
    """Write a window as Parquet: equal frames give equal bytes. Missing values are nulls, in text and in numbers.

    It holds the contract's features, and those network columns that the frame has.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {Kind.CATEGORY: pa.string(), Kind.NUMBER: pa.float64(), Kind.TIMESTAMP: pa.timestamp("us")}
    network = [column for column in contract.network_features if column.name in frame.columns]
    schema = pa.schema(
        [(column.name, kinds[column.kind]) for column in (*contract.features, *network)]
        + [("key_sha256", pa.string()), ("event_time", pa.timestamp("us")), ("label", pa.int8())]
    )
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def read_window(folder: Path, name: str, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return a window written by `write_window`; text columns hold str or missing, numbers float64."""
    import pandas as pd

    return pd.read_parquet(window_path(folder, name), columns=None if columns is None else list(columns))


def window_path(folder: Path, name: str) -> Path:
    """Return the window's file; equal windows have equal bytes."""
    return folder / f"{name}.parquet"
