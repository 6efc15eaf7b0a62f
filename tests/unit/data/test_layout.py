"""The bytes in which a snapshot lies are those of its layout, whatever else changes."""

from datetime import date
from pathlib import Path

import pandas as pd

from fraud_ml.contract import Contract
from fraud_ml.data.layout import LAYOUT
from fraud_ml.features.log_copy import freeze_copy

# layout -> digest of the rows below as of 2024-02-10; a new entry needs a new number, an old one never changes
DIGESTS = {1: "8f1d612506251bb14c655d4c0db93765620c743cf9e34a633458324ab2142816"}

ROWS = [
    ("C1", "2024-01-03", "2024-01-05", 10.0, None),
    ("C2", "2024-01-20", "2024-01-22T08:30:00.250", None, "cleared"),
    ("C1", "2024-01-03", "2024-02-04", 11.5, "confirmed"),
    ("C3", "2024-02-02", "2024-02-09", -0.0, None),
    ("C4", "2024-02-02", "2024-02-11", 40.0, None),
]


def log_rows() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["claim_id", "happened", "known", "amount", "outcome"])
    for name in ("happened", "known"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return frame.assign(kind="fire", event_time=frame["happened"], recorded_at=frame["known"])


def test_other_bytes_need_another_layout(contract: Contract, tmp_path: Path) -> None:
    """Fails when our code or a library lays the same rows out otherwise: raise LAYOUT, and add its digest here.

    Freezing a finished date then makes a revision beside the version that stands, instead of saying that nothing
    changed.
    """
    manifest = freeze_copy(log_rows(), contract, date(2024, 2, 10), tmp_path / "frozen")
    assert sorted(manifest.files) == ["log/2024-01.parquet", "log/2024-02-04.parquet", "log/2024-02-09.parquet"]
    assert manifest.layout == LAYOUT == max(DIGESTS)
    assert manifest.digest == DIGESTS[LAYOUT]
