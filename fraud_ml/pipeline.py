"""The reproducible half of a retraining run, one function per stage, in the order a claim travels.

Each stage is a function of files and params: it reads what earlier stages left in the workspace and leaves its own
outputs there. `dvc.yaml` names the same stages with their files; the command line and Airflow run nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fraud_ml.artifacts import Candidate, FeatureReport, TrainingReport, Verdict, Workspace
from fraud_ml.params import EvaluationParams, FeatureParams, TrainingParams, ValidationParams


def validate(workspace: Workspace, params: ValidationParams) -> Verdict:
    """Fold the snapshot into claims and judge them; afterwards the workspace holds claims, verdict, quarantine, report.

    Never raises on bad claims: bad claims are a verdict. Raises Tampered when the snapshot's bytes are not those of its
    manifest, Unavailable when the snapshot or TFDV's environment is not there.
    """
    from fraud_ml.validation import judge_snapshot  # heavy: great_expectations, duckdb

    return judge_snapshot(workspace, params)


def features(workspace: Workspace, params: FeatureParams) -> FeatureReport:
    """Split the accepted, mature, labelled claims by event time; afterwards `workspace.features` holds the windows.

    It reads the claims that were judged and, where the contract asks who is connected with whom, the snapshot's rows.
    Raises NotAccepted when the snapshot's verdict is not `accepted`, Undefined when a window holds too few frauds.
    """
    from fraud_ml.features import build_windows  # heavy: duckdb, pandas

    return build_windows(workspace, params)


def train(workspace: Workspace, params: TrainingParams) -> TrainingReport:
    """Fit every configured family; afterwards `workspace.models` holds each of them, calibrated and exported.

    The same windows, params and code give the same `model_digest`, in any process and folder.
    Raises NotAccepted when the snapshot's verdict is not `accepted`.
    """
    from fraud_ml.training import fit_families  # heavy: tensorflow or scikit-learn

    return fit_families(workspace, params)


def evaluate(workspace: Workspace, params: EvaluationParams) -> Candidate:
    """Judge the chosen family on the frozen test window; afterwards metrics, the gates' verdict and candidate stand.

    A missed gate is a verdict, not an error.
    """
    from fraud_ml.evaluation import judge_candidate  # heavy: tensorflow or scikit-learn

    return judge_candidate(workspace, params)


@dataclass(frozen=True)
class Stage:
    """A row of the pipeline: its name in dvc.yaml, its function and its section of params.yaml."""

    name: str
    run: Callable[[Workspace, Any], Any]
    section: str


STAGES = (
    Stage("validate", validate, "validation"),
    Stage("features", features, "features"),
    Stage("train", train, "training"),
    Stage("evaluate", evaluate, "evaluation"),
)
