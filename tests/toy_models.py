"""Small exported models that really predict, and promotions of them that people really signed, for tests of serving."""

import base64
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fraud_ml.artifacts import Candidate, Finding, ModelManifest, Outcome, Severity, Verdict, evaluation_digest
from fraud_ml.contract import Column, Kind, Role
from fraud_ml.events import Event, EventType
from fraud_ml.governance.approvals import Approval, make_key
from fraud_ml.governance.keys import read_key
from fraud_ml.models import export_model, family_named
from fraud_ml.models.family import Calibration, Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.params import RandomForestParams
from fraud_ml.serving.deployment import Deployment

FEATURES = (
    Column(name="region", kind=Kind.CATEGORY, role=Role.FEATURE),
    Column(name="fault", kind=Kind.CATEGORY, role=Role.FEATURE, missing=("unknown",)),
    Column(name="age_years", kind=Kind.NUMBER, role=Role.FEATURE, missing=("0",)),
    Column(name="amount_eur", kind=Kind.NUMBER, role=Role.FEATURE),
)

METRICS = {"average_precision": 0.3, "rows": 12}


def export_forest(folder: Path, *, seed: int = 1) -> ModelManifest:
    """Fit a forest of five trees on made-up claims and export it to the new `folder`."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "region": rng.choice(["north", "south"], 300),
            "fault": rng.choice(["own", "third party", None], 300),
            "age_years": rng.integers(18, 90, 300).astype(float),
            "amount_eur": rng.lognormal(7, 1, 300),
        }
    )
    labels = ((frame["fault"] == "third party") & (rng.random(300) < 0.7)).to_numpy(dtype=np.int8)
    inputs = describe_inputs(frame, FEATURES)
    examples = Examples(read_columns(frame, inputs), labels)
    params = RandomForestParams(trees=5, min_samples_leaf=5)
    family = family_named("random_forest")
    model = family.fit(inputs, examples, examples, params, seed=seed, progress=lambda _: None)
    folder.mkdir(parents=True)
    return export_model(folder, "random_forest", model, inputs, Calibration())


def seal(manifest: ModelManifest, *, dataset: str = "motor", as_of: str = "2024-07-01") -> Candidate:
    """Return a candidate of this model."""
    return Candidate(
        dataset=dataset,
        as_of=as_of,
        family=manifest.family,
        snapshot_digest="c" * 64,
        params_digest="d" * 64,
        model_digest=manifest.model_digest,
        artifact_digest=manifest.artifact_digest,
        evaluation_digest=evaluation_digest(METRICS, judged(manifest)),
    ).sealed()


def judged(manifest: ModelManifest, outcome: Outcome = Outcome.PASSED) -> dict[str, Any]:
    """Return the verdict on this model."""
    finding = Finding("GATE001", "a gate", Severity.STOP, outcome, "≥ 0.1", "0.2")
    return asdict(Verdict.of("candidate", manifest.model_digest, [finding], rows=12))


def deployment_of(
    manifest: ModelManifest, *, model_uri: str, dataset: str = "motor", sequence: int = 1, version: str = "1"
) -> Deployment:
    return Deployment(
        dataset=dataset,
        sequence=sequence,
        event_id=f"event-{sequence}",
        model_name=f"fraud-{dataset}",
        version=version,
        model_uri=model_uri,
        candidate=seal(manifest, dataset=dataset),
        manifest=manifest,
    )


def registered_body(
    manifest: ModelManifest, candidate: Candidate, *, model_uri: str, version: str = "1"
) -> dict[str, Any]:
    """Return the body of the ledger's REGISTERED entry."""
    return {
        "candidate": asdict(candidate),
        "model_name": f"fraud-{candidate.dataset}",
        "version": version,
        "run_id": "r" * 32,
        "run_url": "http://localhost/run",
        "model_uri": model_uri,
        "manifest": asdict(manifest),
        "required_approvals": 2,
        "run_key": "k" * 12,
        "evaluation": {"metrics": METRICS, "verdict": judged(manifest)},
    }


def people(folder: Path, *names: str) -> dict[str, Path]:
    """Make each a key; afterwards `<folder>/approvers.json` enrols them."""
    return {name: make_key(name, folder / "keys", approvers=folder / "approvers.json") for name in names}


def sign(candidate_digest: str, keys: dict[str, Path]) -> list[dict[str, str]]:
    """Return each person's approval as an event carries it."""
    signed = []
    for person, path in keys.items():
        approval = Approval(person, candidate_digest, "", "2026-01-31T00:00:00+00:00")
        signature = base64.b64encode(read_key(path).sign(approval.statement())).decode()
        signed.append(asdict(replace(approval, signature=signature)))
    return signed


def promotion(body: dict[str, Any], approvals: Sequence[dict[str, str]], *, sequence: int) -> Event:
    candidate = body["candidate"]
    return Event(
        id=f"promoted-{uuid.uuid4().hex}",
        type=EventType.PROMOTED,
        source="fraud-ml/ledger",
        subject=candidate["digest"],
        time="2026-01-31T00:00:00+00:00",
        data={
            **body,
            "dataset": candidate["dataset"],
            "candidate_digest": candidate["digest"],
            "approvals": list(approvals),
            "sequence": sequence,
        },
    )


def put_on_shelf(home: Path, model: Path, manifest: ModelManifest) -> None:
    """Lay a model where a scorer keeps it, as if it had been fetched."""
    shutil.copytree(model, home / "models" / manifest.artifact_digest)
