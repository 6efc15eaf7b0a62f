"""Which claims are set aside: as the key's SHA-256 and the finding's code, without a claim's values."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEY_DIGEST = "claim_key_sha256"
CODE = "code"


@dataclass(frozen=True, order=True)
class SetAside:
    """One row set aside by one rule. A row that breaks two rules appears twice, and counts once."""

    key_digest: str
    code: str


def digest_key(key: object) -> str:
    """Return 64 hex digits for a claim key; a missing key counts as empty text."""
    text = key if isinstance(key, str) else ""
    return hashlib.sha256(text.encode()).hexdigest()


def write_quarantine(entries: Iterable[SetAside], path: Path) -> None:
    """Write the entries sorted. Equal entries give equal bytes, and no entries give the same columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = sorted(set(entries))
    schema = pa.schema([pa.field(KEY_DIGEST, pa.string(), nullable=False), pa.field(CODE, pa.string(), nullable=False)])
    table = pa.table([[row.key_digest for row in rows], [row.code for row in rows]], schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, partial, compression="snappy", version="2.6")
    partial.replace(path)


def quarantined_keys(path: Path) -> frozenset[str]:
    """Return the key digests of the rows that nobody learns from."""
    import pyarrow.parquet as pq

    return frozenset(pq.read_table(path, columns=[KEY_DIGEST]).column(0).to_pylist())
