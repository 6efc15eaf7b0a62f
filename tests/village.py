"""A village whose claims are connected: its contract, rows of its log, and what the pipeline leaves of them."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict, Workspace, save
from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot, open_snapshot
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.validation.quarantine import write_quarantine
from tests.network_oracle import Row

BEGIN, AS_OF = datetime(2024, 1, 1), date(2024, 12, 31)
PARTIES = {"who": "person", "saw": "person", "garage": "garage", "phone": "phone"}
CONTRACT: dict[str, Any] = {
    "dataset": "village",
    "title": "Claims of a village",
    "owner": "tests",
    "key": "claim",
    "times": {"event": "happened", "recorded": "known"},
    "label": {
        "column": "outcome",
        "positive": ["fraud"],
        "negative": ["clear"],
        "maturity_days": 0,
        "meaning_of_no": "somebody looked",
    },
    "schedule": {"cron": "0 0 1 * *"},
    "network": {"window_days": 60, "parties": PARTIES},
    "columns": [
        {"name": "claim", "kind": "category", "role": "key"},
        {"name": "happened", "kind": "timestamp", "role": "time"},
        {"name": "known", "kind": "timestamp", "role": "time"},
        {"name": "outcome", "kind": "category", "role": "label"},
        {"name": "who", "kind": "category", "role": "context"},
        {"name": "saw", "kind": "category", "role": "context", "joined_by": "+", "nothing": ["none"]},
        {"name": "garage", "kind": "category", "role": "context"},
        {"name": "phone", "kind": "category", "role": "context"},
        {"name": "amount", "kind": "number", "role": "feature"},
    ],
}


def village(**network: Any) -> Contract:
    section = {**CONTRACT["network"], **network}
    return Contract.model_validate({**CONTRACT, "network": section}, strict=False)


def row(
    claim: str,
    day: float,
    *,
    who: str | None = None,
    saw: str | None = None,
    garage: str | None = None,
    phone: str | None = None,
    outcome: str | None = None,
) -> Row:
    at = BEGIN + timedelta(days=day)
    named = {"who": who, "saw": saw, "garage": garage, "phone": phone, "outcome": outcome}
    return {
        "claim": claim,
        "event_time": BEGIN,
        "recorded_at": at,
        "happened": BEGIN,
        "known": at,
        "amount": 1.0,
    } | named


def frozen(rows: list[Row], contract: Contract, folder: Path, as_of: date = AS_OF) -> Snapshot:
    kept = {(told["claim"], told["recorded_at"]): told for told in rows}
    freeze_copy(pd.DataFrame(list(kept.values())), contract, as_of, folder)
    return open_snapshot(folder, contract)


def busy_village(claims: int, seed: int = 1, days: int = 300) -> list[Row]:
    """Return a log: each claim opened and, mostly, decided; moments are shared, and frauds share a telephone."""
    dice = np.random.default_rng(seed)
    people = [f"p{number}" for number in range(claims // 3)]
    rows = []
    for number, day in enumerate(np.sort(dice.integers(0, days, claims)).tolist()):
        fraud = dice.random() < 0.3
        named = {
            "who": str(dice.choice(people)),
            "saw": str(dice.choice(people)) if dice.random() < 0.4 else "none",
            "garage": f"g{dice.integers(0, 5)}" if dice.random() < 0.9 else None,
            "phone": "ring" if fraud and dice.random() < 0.7 else f"t{dice.integers(0, claims // 2)}",
        }
        opened = row(f"c{number:04d}", day, **named) | {"amount": float(dice.integers(1, 100))}
        rows.append(opened)
        if dice.random() < 0.9:
            at = opened["recorded_at"] + timedelta(days=int(dice.integers(5, 30)))
            rows.append({**opened, "recorded_at": at, "known": at, "outcome": "fraud" if fraud else "clear"})
    return [{**told, "happened": start, "event_time": start} for told, start in zip(rows, _openings(rows), strict=True)]


def _openings(rows: list[Row]) -> list[datetime]:
    first: dict[str, datetime] = {}
    for told in rows:
        first.setdefault(told["claim"], told["recorded_at"])
    return [first[told["claim"]] for told in rows]


def village_workspace(root: Path, rows: list[Row], contract: Contract) -> Workspace:
    """Return a workspace as the validate stage leaves it, with an accepting verdict."""
    workspace = Workspace(root)
    snapshot = frozen(rows, contract, workspace.snapshot)
    snapshot.fold_into(workspace.claims, None)
    write_quarantine([], workspace.quarantine)
    passed = Finding("DATA001", "rows", Severity.STOP, Outcome.PASSED, "≥ 1", "many")
    save(Verdict.of("snapshot village", snapshot.manifest.digest, [passed], rows=1), workspace.validation_verdict)
    place = workspace.expectations / contract.dataset
    place.mkdir(parents=True)
    told = contract.model_dump(mode="json", exclude_unset=True)
    (place / "contract.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    return workspace
