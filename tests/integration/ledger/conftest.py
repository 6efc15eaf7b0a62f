"""A ledger of its own for each test, and candidates and people to fill it with."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from fraud_ml.artifacts import Candidate, Decision, ModelManifest, Verdict, digest_of, evaluation_digest
from fraud_ml.governance.approvals import approve, make_key
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.settings import Settings
from tests.empty_ledger import empty_ledger

Register = Callable[..., str]
Registration = Callable[..., dict]


@pytest.fixture
def place(postgres_settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a place with an empty ledger in a new database."""
    return Settings(
        home=tmp_path,
        values={
            **postgres_settings.values,
            "FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings),
            "FRAUD_ML_APPROVERS": str(tmp_path / "approvers.json"),
        },
    )


@pytest.fixture
def ledger(place: Settings) -> Ledger:
    return Ledger(place.ledger_url)


def _registration(
    model: str = "1",
    *,
    dataset: str = "motor",
    required: int = 2,
    version: str = "1",
    decision: Decision = Decision.ACCEPTED,
    files: dict[str, str] | None = None,
) -> dict:
    files = files or {"weights.bin": digest_of(model)}
    manifest = ModelManifest(
        "keras_tabular", digest_of(["model", model]), ModelManifest.digest_files(files), files, ("age",)
    )
    metrics = {"average_precision": 0.25, "rows": 1000}
    verdict = Verdict("candidate keras_tabular", manifest.model_digest, decision, (), rows=1000)
    candidate = Candidate(
        dataset=dataset,
        as_of="2026-01-31",
        family="keras_tabular",
        snapshot_digest="c" * 64,
        params_digest="d" * 64,
        model_digest=manifest.model_digest,
        artifact_digest=manifest.artifact_digest,
        evaluation_digest=evaluation_digest(metrics, verdict),
    ).sealed()
    return {
        "candidate": vars(candidate),
        "model_name": f"fraud-{dataset}",
        "version": version,
        "run_id": "r" * 32,
        "run_url": "http://localhost/run",
        "model_uri": f"s3://mlflow/{candidate.digest[:12]}",
        "manifest": vars(manifest),
        "required_approvals": required,
        "run_key": "k" * 12,
        "evaluation": {"metrics": metrics, "verdict": asdict(verdict)},
    }


@pytest.fixture
def registration() -> Registration:
    """The body of a REGISTERED entry that is whole."""
    return _registration


@pytest.fixture
def register(ledger: Ledger) -> Register:
    """Register a candidate; returns its digest."""

    def act(model: str = "1", **knobs: object) -> str:
        body = _registration(model, **knobs)  # type: ignore[arg-type]
        candidate = body["candidate"]
        return ledger.append(
            EntryKind.REGISTERED,
            dataset=candidate["dataset"],
            subject=candidate["digest"],
            actor="registry",
            body=body,
            once=True,
        ).subject

    return act


@pytest.fixture
def approve_as(ledger: Ledger, place: Settings) -> Callable[..., Entry]:
    """Have people approve a digest, each with a key of their own."""

    def act(digest: str, *people: str) -> Entry:
        for person in people:
            key = place.home / "keys" / f"{person}.key"
            if not key.exists():
                make_key(person, key.parent, approvers=place.approvers)
            entry = approve(ledger, digest, key, approvers=place.approvers)
        return entry

    return act


@pytest.fixture
def superuser(place: Settings) -> Callable[[str], None]:
    """Run SQL as one who may switch the ledger's own guards off."""
    import psycopg

    def act(sql: str) -> None:
        with psycopg.connect(place.ledger_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(sql)

    return act
