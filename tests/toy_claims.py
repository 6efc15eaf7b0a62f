"""Made-up claims of a made-up line of business, and workspaces that hold them, for tests of the learning stages."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from fraud_ml.artifacts import (
    Champion,
    FeatureReport,
    Finding,
    FoldManifest,
    Outcome,
    Severity,
    Verdict,
    Workspace,
    file_digest,
    save,
)
from fraud_ml.contract import Contract
from fraud_ml.data.fold import MANIFEST
from fraud_ml.data.tables import log_schema
from fraud_ml.features.split import split_claims
from fraud_ml.features.windows import REPORT, write_window
from fraud_ml.params import FeatureParams, Params, load_params

PROJECT = Path(__file__).resolve().parents[1]
AS_OF = date(2024, 12, 31)
SNAPSHOT = "5" * 64
CONTRACT: dict[str, Any] = {
    "dataset": "toy",
    "title": "Toy claims",
    "owner": "tests",
    "key": "claim",
    "times": {"event": "happened", "recorded": "happened"},
    "label": {
        "column": "outcome",
        "positive": ["fraud"],
        "negative": ["clear"],
        "maturity_days": 0,
        "meaning_of_no": "-",
    },
    "schedule": {"cron": "0 0 1 * *"},
    "amount": "amount_eur",
    "slices": [{"column": "garage"}, {"column": "age_years", "edges": [35, 60]}],
    "columns": [
        {"name": "claim", "kind": "category", "role": "key"},
        {"name": "happened", "kind": "timestamp", "role": "time"},
        {"name": "outcome", "kind": "category", "role": "label"},
        {"name": "garage", "kind": "category", "role": "feature"},
        {"name": "fault", "kind": "category", "role": "feature"},
        {"name": "address change", "kind": "category", "role": "feature"},
        {"name": "age_years", "kind": "number", "role": "feature"},
        {"name": "amount_eur", "kind": "number", "role": "feature"},
    ],
}
SMALL_PARAMS = {
    "boosted_trees": {"members": 2, "trees": 15, "depth": 3, "learning_rate": 0.2, "row_share": 0.8, "crosses": 3},
    "keras_tabular": {
        "members": 2,
        "crosses": 3,
        "hidden_units": [8],
        "max_epochs": 6,
        "batch_size": 128,
        "learning_rate": 0.02,
    },
    "random_forest": {"trees": 12},
}


def toy_contract(**label: Any) -> Contract:
    return Contract.model_validate({**CONTRACT, "label": {**CONTRACT["label"], **label}}, strict=False)


def investigated_contract(maturity_days: int = 0) -> Contract:
    """Return the toy contract of a source that says who was looked at, in a column of its own."""
    seen = {"name": "looked", "kind": "category", "role": "context"}
    words = {"column": "looked", "none": ["no"], "random": ["dice"]}
    label = {**CONTRACT["label"], "investigation": words, "maturity_days": maturity_days}
    return Contract.model_validate({**CONTRACT, "label": label, "columns": [*CONTRACT["columns"], seen]}, strict=False)


def toy_claims(rows: int = 1600, seed: int = 3) -> pd.DataFrame:
    """Return the fold: two years of claims, frauds where a third party is at fault and the address changed."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "claim": [f"c{number:05d}" for number in range(rows)],
            "happened": pd.Timestamp("2023-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 731, rows)), unit="D"),
            "garage": rng.choice(["north", "south", "east", "west"], rows),
            "fault": rng.choice(["own", "third party"], rows),
            "address change": rng.choice(["none", "recent", None], rows, p=[0.6, 0.3, 0.1]),
            "age_years": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(18, 90, rows)),
            "amount_eur": np.exp(rng.normal(7, 1, rows)).round(2),
        }
    )
    risky = (frame["fault"] == "third party") & (frame["address change"] == "recent")
    fraud = rng.random(rows) < np.where(risky, 0.5, 0.06) + 0.05 * (frame["garage"] == "east")
    frame["outcome"] = np.where(fraud, "fraud", "clear")
    frame["event_time"] = frame["recorded_at"] = frame["happened"].astype("datetime64[us]")
    return frame


def toy_params(**families: Any) -> Params:
    """Return the project's own params, made small; `families` replaces training.families."""
    given = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    given["features"] = {"test_months": 6, "validation_months": 4, "min_positives": 5}
    for family, changed in SMALL_PARAMS.items():
        given["training"][family].update(changed)
    given["training"].update(families)
    return Params.model_validate(given, strict=False)


def toy_workspace(root: Path, claims: pd.DataFrame | None = None, **families: Any) -> tuple[Workspace, Params]:
    """Return a workspace as the features stage leaves it, with an accepting verdict and no champion."""
    workspace, contract, params = Workspace(root), toy_contract(), toy_params(**families)
    (workspace.expectations / "toy").mkdir(parents=True)
    (workspace.expectations / "toy" / "contract.yaml").write_text(yaml.safe_dump(CONTRACT), encoding="utf-8")
    workspace.params.write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    assert load_params(workspace.params) == params
    write_windows(workspace, toy_claims() if claims is None else claims, contract, AS_OF, params.features)
    passed = Finding("DATA001", "rows", Severity.STOP, Outcome.PASSED, "≥ 1", "many")
    save(Verdict.of("snapshot toy", SNAPSHOT, [passed], rows=1), workspace.validation_verdict)
    save(Champion(), workspace.champion_record)
    return workspace, params


def write_windows(
    workspace: Workspace, claims: pd.DataFrame, contract: Contract, as_of: date, params: FeatureParams
) -> None:
    split = split_claims(claims, contract, as_of, set(), params)
    shutil.rmtree(workspace.features, ignore_errors=True)
    workspace.features.mkdir(parents=True)
    for name, frame in split.frames.items():
        write_window(frame, workspace.features / f"{name}.parquet", contract)
    names = tuple(column.name for column in contract.features)
    report = FeatureReport(
        contract.dataset, as_of.isoformat(), SNAPSHOT, names, len(claims), **split.windows, left_out=split.left_out
    )
    save(report, workspace.features / REPORT)
    write_fold(workspace.claims, claims, contract, as_of)


def write_fold(folder: Path, claims: pd.DataFrame, contract: Contract, as_of: date) -> None:
    """Write the judged claims as the validate stage leaves them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = {}
    for month, rows in claims.groupby(claims["event_time"].dt.strftime("%Y-%m")):
        table = pa.Table.from_pandas(rows.sort_values(contract.key), log_schema(contract), preserve_index=False)
        pq.write_table(table, folder / f"{month}.parquet")
        files[f"{month}.parquet"] = file_digest(folder / f"{month}.parquet")
    manifest = FoldManifest(contract.dataset, as_of.isoformat(), SNAPSHOT, len(claims), files)
    save(manifest.sealed(), folder / MANIFEST)
