"""Tasks that change the world: each runs one `fraud-ml` command and returns what it printed."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context

from fraud_airflow.as_of import end_of, require_as_of
from fraud_airflow.backfill import BACKFILL, is_backfill, was_asked_for
from fraud_airflow.processes import ProcessGroup, Say
from fraud_airflow.repro import exit_error, program_environment, sentence_of
from fraud_airflow.stages import owner_of
from fraud_ml.errors import FraudMLError
from fraud_ml.settings import PROJECT, Settings

_RUN_FACTS = ("dataset", "as_of", "run_key", "code_rev")
_LATE_AT_MOST = timedelta(days=1)  # a triggerer that was away that long is told as a failure


def run_fraud_ml(group: ProcessGroup, *arguments: str, settings: Settings, say: Say) -> dict[str, Any]:
    """Run `fraud-ml <arguments> --json` in the group's folder, with the code that stands there; return its answer.

    Raises Rejected (exit code 2) or Unavailable (3, or killed) with the command's own sentence; its fact `answer` is
    what the command printed all the same.
    """
    with group.held(say):
        ended = group.run(
            [sys.executable, "-m", "fraud_ml", *arguments, "--json"],
            env=program_environment(settings),
            say=say,
            one_stream=False,
        )
    name = " ".join(arguments[:2])
    answer = _answer(ended.output)
    if ended.returncode != 0:
        error = exit_error(
            ended.returncode, sentence_of(ended.lines) or f"{name} ended with exit code {ended.returncode}"
        )
        error.facts["answer"] = answer
        raise error
    if answer is None:
        raise FraudMLError(f"{name} printed no JSON", next_step="this is a fault in the command")
    return answer


def _answer(output: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return answer if isinstance(answer, dict) else {"answer": answer}


class FraudMLOperator(BaseOperator):
    """Runs one idempotent `fraud-ml` command and returns its JSON.

    `arguments` may hold templates. With `run` (what open_run returned) the command works in that run's checkout, with
    that commit's code, and what names the run is added to the answer. `announces` is an asset whose event says what a
    subclass tells of the answer.
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
        answer = self.answered(context)
        if self.announces:
            context["outlet_events"][self.announces].extra = self.announcement(answer, context)
        return {**{fact: self.run[fact] for fact in _RUN_FACTS if self.run}, **answer}

    def answered(self, context: Context) -> dict[str, Any]:
        """Run the command and return its answer."""
        settings = Settings.load()
        folder = Path(self.run["path"]) if self.run else PROJECT
        notes = folder / ".dvc" / "tmp" / "fraud-airflow" if self.run else settings.home / "airflow-tasks"
        self._group = ProcessGroup(notes / f"{self.dag_id}.{self.task_id}", folder, owner_of(context))
        return run_fraud_ml(
            self._group,
            *(str(argument) for argument in self.arguments),
            settings=settings,
            say=lambda line: self.log.info("%s", line),
        )

    def announcement(self, answer: dict[str, Any], context: Context) -> dict[str, Any]:
        """Return what the asset event says."""
        raise NotImplementedError

    def on_kill(self) -> None:
        if self._group:
            self._group.end(wait=False)


class FreezeSnapshot(FraudMLOperator):
    """Freezes the claims of `dataset` known on the run's as-of date, and announces the snapshot under the same key.

    A run that the calendar started waits, without a worker, until that day is over (UTC): what is recorded later on it
    would need a revision. A run that somebody asked for freezes at once, and says that the day is open.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#f7f0e0"

    def __init__(self, *, dataset: str, announces: Asset, **kwargs: Any) -> None:
        super().__init__(arguments=("snapshot", "freeze", dataset), announces=announces, **kwargs)

    def execute(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002 - Airflow's name
        as_of = require_as_of(context.get("partition_key"), context["dag"].dag_id)
        if not was_asked_for(context):
            self._wait_for_end_of(as_of)
        self.arguments = (*self.arguments[:3], as_of.isoformat())
        frozen = super().execute(context)
        self.log.info("%s: %s", frozen["tag"], "frozen" if frozen["created"] else "was frozen before, nothing changed")
        return frozen

    def announcement(self, answer: dict[str, Any], context: Context) -> dict[str, Any]:
        """Return where the snapshot stands, what it is, how large, by whom, and whether more may come of its day."""
        manifest = answer["manifest"]
        return {
            "tag": answer["tag"],
            "digest": manifest["digest"],
            "rows": manifest["rows"],
            "day_is_open": answer["day_is_open"],
            BACKFILL: is_backfill(context),
        }

    def _wait_for_end_of(self, as_of: date) -> None:
        """Defer unless the day is over; the clock is asked again by whoever is woken."""
        left = end_of(as_of) - datetime.now(UTC)
        if left <= timedelta():
            return
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.log.info(
            "%s is not over: more may be recorded until midnight (UTC). Waiting; to freeze what is known by now,"
            " trigger %s over the API with `partition_key: %s`",
            as_of,
            self.dag_id,
            as_of,
        )
        self.defer(trigger=DateTimeTrigger(moment=end_of(as_of)), method_name="execute", timeout=left + _LATE_AT_MOST)
