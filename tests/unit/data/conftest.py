"""A contract of six columns, and files of claims that keep or break it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fraud_ml.contract import Contract

HEADER = "claim_id,happened,known,kind,amount,outcome"
ROWS = (
    "C1,2024-03-01,2024-03-02T10:00:00,theft,1200.50,",
    "C2,2024-03-02,2024-03-05T10:00:00,fire,?,confirmed",
    "C3,2024-03-02,2024-04-01T09:30:00,glass,80,cleared",
)


@pytest.fixture
def contract() -> Contract:
    return Contract.model_validate(
        {
            "dataset": "tiny",
            "title": "Tiny claims",
            "owner": "tests",
            "key": "claim_id",
            "times": {"event": "happened", "recorded": "known"},
            "label": {
                "column": "outcome",
                "positive": ["confirmed"],
                "negative": ["cleared"],
                "maturity_days": 0,
                "meaning_of_no": "somebody looked",
            },
            "schedule": {"cron": "0 0 1 * *"},
            "columns": [
                {"name": "claim_id", "kind": "category", "role": "key"},
                {"name": "happened", "kind": "timestamp", "role": "time"},
                {"name": "known", "kind": "timestamp", "role": "time"},
                {"name": "kind", "kind": "category", "role": "feature"},
                {"name": "amount", "kind": "number", "role": "feature", "missing": ["?", "0"]},
                {"name": "outcome", "kind": "category", "role": "label"},
            ],
        },
        strict=False,
    )


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file; by default one that keeps the contract."""

    def write(*rows: str, header: str = HEADER, name: str = "claims.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *(rows or ROWS)]) + "\n", encoding="utf-8")
        return path

    return write
