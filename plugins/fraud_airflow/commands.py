"""Tasks that change the world: each runs one `fraud-ml` command and returns what it printed."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context

from fraud_airflow.as_of import require_as_of
from fraud_airflow.backfill import BACKFILL, is_backfill
from fraud_airflow.processes import ProcessGroup, Say
from fraud_airflow.repro import exit_error, program_environment, sentence_of
from fraud_airflow.stages import owner_of
from fraud_ml.errors import FraudMLError
from fraud_ml.settings import PROJECT, Settings

_RUN_FACTS = ("dataset", "as_of", "run_key", "code_rev")


def run_fraud_ml(group: ProcessGroup, *arguments: str, settings: Settings, say: Say) -> dict[str, Any]:
    """Run `fraud-ml <arguments> --json` in the group's folder, with the code that stands there; return its answer.

    Raises Rejected (exit code 2) or Unavailable (3, or killed) with the command's own sentence.
    """
    with group.held(say):
        ended = group.run(
            [sys.executable, "-m", "fraud_ml", *arguments, "--json"],
            env=program_environment(settings),
            say=say,
            one_stream=False,
        )
    name = " ".join(arguments[:2])
    if ended.returncode != 0:
        raise exit_error(
            ended.returncode, sentence_of(ended.lines) or f"{name} ended with exit code {ended.returncode}"
        )
    try:
        answer = json.loads(ended.output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise FraudMLError(f"{name} printed no JSON", next_step="this is a fault in the command") from None
    return answer if isinstance(answer, dict) else {"answer": answer}


class FraudMLOperator(BaseOperator):
    """Runs one idempotent `fraud-ml` command and returns its JSON.

    `arguments` may hold templates. With `run` (what open_run returned) the command works in that run's checkout, with
    that commit's code, and what names the run is added to the answer.
    """

    template_fields: Sequence[str] = ("arguments", "run")
    ui_color = "#e6edf7"

    def __init__(
        self, *, arguments: Sequence[Any], run: Any = None, announces: Asset | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs, outlets=[announces] if announces else None)
        self.arguments = arguments
        self.run = run
        self.announces = announces
        self._group: ProcessGroup | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        settings = Settings.load()
        folder = Path(self.run["path"]) if self.run else PROJECT
        notes = folder / ".dvc" / "tmp" / "fraud-airflow" if self.run else settings.home / "airflow-tasks"
        self._group = ProcessGroup(notes / f"{self.dag_id}.{self.task_id}", folder, owner_of(context))
        answer = run_fraud_ml(
            self._group,
            *(str(argument) for argument in self.arguments),
            settings=settings,
            say=lambda line: self.log.info("%s", line),
        )
        if self.announces:
            context["outlet_events"][self.announces].extra = announcement(answer, by_backfill=is_backfill(context))
        return {**{fact: self.run[fact] for fact in _RUN_FACTS if self.run}, **answer}

    def on_kill(self) -> None:
        if self._group:
            self._group.end(wait=False)


class FreezeSnapshot(FraudMLOperator):
    """Freezes the claims of `dataset` known on the run's as-of date, and announces the snapshot under the same key."""

    template_fields: Sequence[str] = ("run",)
    ui_color = "#f7f0e0"

    def __init__(self, *, dataset: str, announces: Asset, **kwargs: Any) -> None:
        super().__init__(arguments=("snapshot", "freeze", dataset), announces=announces, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        as_of = require_as_of(context.get("partition_key"), context["dag"].dag_id)
        self.arguments = (*self.arguments[:3], as_of.isoformat())
        frozen = super().execute(context)
        self.log.info("%s: %s", frozen["tag"], "frozen" if frozen["created"] else "was frozen before, nothing changed")
        return frozen


def announcement(frozen: dict[str, Any], *, by_backfill: bool) -> dict[str, Any]:
    """Return what an asset event says about a frozen snapshot: where it stands, what it is, how large, by whom."""
    manifest = frozen.get("manifest", frozen)
    return {"tag": frozen["tag"], "digest": manifest["digest"], "rows": manifest["rows"], BACKFILL: by_backfill}
