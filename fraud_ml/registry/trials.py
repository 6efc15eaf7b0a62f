"""What MLflow is given to show of a tuning: one parent run, and a child run for each trial.

They stand in an experiment of their own, `fraud-<dataset>-tuning`: none of them is a model, and the runs of candidates
stay a list that people can read.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraud_ml.registry.champion import model_name
from fraud_ml.registry.registration import experiment_of, mlflow_client
from fraud_ml.settings import Settings

_PARENT = "mlflow.parentRunId"
_LONGEST_NOTE = 5000  # characters of a tag's value that every MLflow store takes


@dataclass(frozen=True)
class TrialRun:
    """A trial as a run: its settings, figures of the whole trial, and figures of each fold in turn."""

    name: str
    state: str
    params: Mapping[str, str]
    figures: Mapping[str, float]
    by_fold: Mapping[str, Sequence[float]]


class TrialLog:
    """The runs of one tuning. The parent begins with the first trial, so a tuning that cannot begin leaves nothing.

    Each act raises Unavailable when MLflow does not answer, Rejected when it refuses.
    """

    def __init__(self, settings: Settings, dataset: str, *, name: str, tags: Mapping[str, str]) -> None:
        self.settings, self.experiment_name = settings, f"{model_name(dataset)}-tuning"
        self.name, self.tags = name, dict(tags)
        self.experiment = self.run_id = ""
        self.since_ms = _now_ms()

    @property
    def run_url(self) -> str | None:
        """Page of the parent run, or None where no trial was added."""
        uri = self.settings.mlflow_tracking_uri.rstrip("/")
        return f"{uri}/#/experiments/{self.experiment}/runs/{self.run_id}" if self.run_id else None

    def add(self, trial: TrialRun) -> None:
        """Add a trial that began when the one before it was over; afterwards its run is finished."""
        from mlflow.entities import Metric, Param

        began_ms, self.since_ms = self.since_ms, _now_ms()
        with mlflow_client(self.settings) as client:
            if not self.run_id:
                self._begin(client, began_ms)
            tags = {_PARENT: self.run_id, "state": trial.state, "mlflow.source.name": "fraud-ml tune"}
            run = client.create_run(self.experiment, start_time=began_ms, tags=tags, run_name=trial.name)
            whole = [Metric(name, value, self.since_ms, 0) for name, value in trial.figures.items()]
            folds = [
                Metric(name, value, self.since_ms, fold)
                for name, values in trial.by_fold.items()
                for fold, value in enumerate(values, start=1)
            ]
            params = [Param(name, value) for name, value in trial.params.items()]
            client.log_batch(run.info.run_id, metrics=[*whole, *folds], params=params)
            status = "FAILED" if trial.state == "failed" else "FINISHED"
            client.set_terminated(run.info.run_id, status, self.since_ms)

    def close(self, status: str, *, figures: Mapping[str, float], note: str) -> None:
        """End the parent run as FINISHED, FAILED or KILLED, with figures and a note (Markdown) for people."""
        from mlflow.entities import Metric

        if not self.run_id:
            return
        with mlflow_client(self.settings) as client:
            at_ms = _now_ms()
            client.log_batch(self.run_id, metrics=[Metric(name, value, at_ms, 0) for name, value in figures.items()])
            if note:
                client.set_tag(self.run_id, "mlflow.note.content", note[:_LONGEST_NOTE])
            client.set_terminated(self.run_id, status, at_ms)

    def _begin(self, client: Any, began_ms: int) -> None:
        self.experiment = experiment_of(client, self.experiment_name)
        tags = {**self.tags, "mlflow.source.name": "fraud-ml tune"}
        run = client.create_run(self.experiment, start_time=began_ms, tags=tags, run_name=self.name)
        self.run_id = str(run.info.run_id)


def _now_ms() -> int:
    return int(time.time() * 1000)
