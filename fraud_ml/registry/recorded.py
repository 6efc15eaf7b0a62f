"""What MLflow keeps of a registered run, to run it again: the commit, params.yaml, and what computed it."""

from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import TrainingReport, load
from fraud_ml.errors import BadInput
from fraud_ml.registry.registration import mlflow_client
from fraud_ml.settings import Settings


@dataclass(frozen=True)
class RecordedRun:
    """A registered run, as MLflow has it. Whoever relies on a digest in it compares it with the ledger."""

    run_id: str
    candidate_digest: str
    code_rev: str
    params: Path  # params.yaml, below the folder given
    training: TrainingReport


def recorded_run(settings: Settings, run_id: str, folder: Path) -> RecordedRun:
    """Bring the run's files into the empty `folder`. Raises BadInput where MLflow knows no such registered run."""
    from mlflow.exceptions import MlflowException

    with mlflow_client(settings) as client:
        try:
            tags = client.get_run(run_id).data.tags
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            tags = {}
        if "candidate_digest" not in tags:
            raise BadInput(
                "MLflow knows no registered run of that id",
                arrived=run_id[:32],
                next_step="`fraud-ml ledger show --kind registered` lists candidates and their runs",
            )
        files = {
            name: Path(client.download_artifacts(run_id, name, str(folder)))
            for name in ("params.yaml", "training.json")
        }
    training = load(TrainingReport, files["training.json"])
    return RecordedRun(run_id, tags["candidate_digest"], tags["code_rev"], files["params.yaml"], training)
