"""A fold of claims in a folder, as the validate stage leaves it, made from a frame without any log."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from fraud_ml.artifacts import FoldManifest, file_digest
from fraud_ml.contract import Contract
from fraud_ml.data.tables import log_schema


def fold_of(claims: pd.DataFrame, contract: Contract, folder: Path) -> FoldManifest:
    """Write each event month of `claims` in the order of keys; return the manifest."""
    folder.mkdir(parents=True)
    files = {}
    for month, rows in claims.groupby(claims["event_time"].dt.strftime("%Y-%m")):
        path = folder / f"{month}.parquet"
        schema = log_schema(contract)
        table = pa.Table.from_pandas(rows.sort_values(contract.key)[schema.names], schema, preserve_index=False)
        parquet.write_table(table, path)
        files[path.name] = file_digest(path)
    return FoldManifest(contract.dataset, "2024-12-31", "ab" * 32, len(claims), files).sealed()
