"""Open a retraining run: its own checkout of the code, with the snapshot and the champion pinned in it."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from configparser import RawConfigParser
from datetime import date
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context

from fraud_airflow.as_of import require_as_of
from fraud_airflow.backfill import was_started_by_backfill
from fraud_airflow.commands import run_fraud_ml
from fraud_airflow.form import chosen_overrides, override_params
from fraud_airflow.plan import Plan, read_plan
from fraud_airflow.processes import ProcessGroup, Say
from fraud_airflow.stages import owner_of
from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.settings import Settings

_OPENING = ".opening-"
_ABANDONED_S = 3600.0


class OpenRun(BaseOperator):
    """Opens the run of `dataset` as of the DAG run's partition key. Opening it again finds the same checkout.

    A run that a backfill started has no champion to beat: it asks for no promotion, and today's champion has learned
    from what came after its date.

    Returns {"path", "run_key", "dataset", "as_of", "code_rev", "snapshot_digest", "champion", "overrides"}.
    """

    ui_color = "#f7f0e0"

    def __init__(self, *, dataset: str, plan: Plan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.plan = plan
        self._group: ProcessGroup | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        as_of = require_as_of(context.get("partition_key"), context["dag"].dag_id)
        settings = Settings.load()
        say: Say = lambda line: self.log.info("%s", line)  # noqa: E731
        by_backfill = was_started_by_backfill(context)
        if by_backfill:
            say("a backfill started this run: it has no champion to beat, and ends once its candidate is registered")
        opening = begin_checkout(settings, self.dataset, as_of, say)
        self._group = ProcessGroup(opening / ".dvc" / "tmp" / "fraud-airflow" / "open", opening, owner_of(context))
        try:
            return open_run(
                settings,
                self._group,
                dataset=self.dataset,
                as_of=as_of,
                plan=self.plan,
                form=context["params"],
                has_rival=not by_backfill,
                say=say,
            )
        finally:
            shutil.rmtree(opening, ignore_errors=True)

    def on_kill(self) -> None:
        if self._group:
            self._group.end(wait=False)


def begin_checkout(settings: Settings, dataset: str, as_of: date, say: Say) -> Path:
    """Return a new folder, beside the runs of that date, holding the commit that will run. Raises Unavailable."""
    parent = settings.runs / dataset / as_of.isoformat()
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    repo = settings.code_repo
    rev = _git("-C", repo, "rev-parse", "--verify", "--quiet", f"{settings.code_rev}^{{commit}}", of=repo)
    if _git("-C", repo, "status", "--porcelain", "--untracked-files=no", of=repo):
        say(f"WARNING: {repo} has uncommitted changes; this run uses the commit {rev[:12]}, without them")
    opening = Path(tempfile.mkdtemp(prefix=_OPENING, dir=parent))
    _git("clone", "--quiet", "--shared", "--no-checkout", repo, str(opening), of=repo)
    _git("-C", str(opening), "checkout", "--quiet", "--detach", rev, of=repo)
    _configure_dvc(opening, settings)
    return opening


def open_run(
    settings: Settings,
    group: ProcessGroup,
    *,
    dataset: str,
    as_of: date,
    plan: Plan,
    form: Mapping[str, Any],
    has_rival: bool = True,
    say: Say,
) -> dict[str, Any]:
    """Pin the run's inputs in the group's folder and give it its place; return the facts that later tasks need.

    Without `has_rival` no champion is pinned, and the run has a key, so a place, of its own.

    The place is `<runs>/<dataset>/<as_of>/<run_key>`, taken by one rename, so that it is whole or not there. Where it
    stands already, it is used as it is: the key says that its inputs are the same.
    """
    opening = group.folder
    if read_plan(opening / "dvc.yaml") != plan:
        raise Rejected(
            "this DAG's tasks were rendered from another dvc.yaml than that of the commit it would run",
            next_step="commit dvc.yaml, or let FRAUD_ML_CODE_REV name the commit whose dvc.yaml the DAGs folder has",
        )
    overrides = chosen_overrides(form)
    if override_params(opening / "params.yaml", overrides):
        say(f"params.yaml of this run: {', '.join('.'.join(path) for path in overrides)} changed by the form")
    code_rev = _git("-C", str(opening), "rev-parse", "HEAD", of=str(opening))
    pinned = run_fraud_ml(
        group,
        "pin",
        dataset,
        as_of.isoformat(),
        "--into",
        str(opening),
        "--code-rev",
        code_rev,
        "--champion",
        "current" if has_rival else "none",
        settings=settings,
        say=say,
    )
    place = opening.parent / pinned["run_key"]
    try:
        opening.rename(place)
        say(f"opened {place}")
    except OSError:
        if not (place / "dvc.yaml").is_file():
            raise Unavailable(f"{place} cannot be taken", next_step="look at its permissions and at the disk") from None
        say(f"found {place}, opened before")
    return {
        "path": str(place),
        "run_key": pinned["run_key"],
        "dataset": dataset,
        "as_of": as_of.isoformat(),
        "code_rev": code_rev,
        "snapshot_digest": pinned["snapshot_digest"],
        "champion": (pinned.get("champion") or {}).get("version"),
        "overrides": {".".join(path): value for path, value in overrides.items()},
    }


def _configure_dvc(checkout: Path, settings: Settings) -> None:
    """Share one cache, and its run cache, between all runs; nothing of it is written outside the settings' places."""
    (checkout / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    (checkout / ".dvc" / "config").touch()
    settings.dvc_cache.mkdir(parents=True, exist_ok=True)
    config = RawConfigParser()
    config["cache"] = {"dir": str(settings.dvc_cache.resolve())}
    config["core"] = {
        "autostage": "false",
        "analytics": "false",
        "check_update": "false",
        "site_cache_dir": str((settings.home / "dvc-site").resolve()),
    }
    with (checkout / ".dvc" / "config.local").open("w", encoding="utf-8") as stream:
        config.write(stream)


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed openings left; one that is an hour old is nobody's."""
    for found in parent.glob(f"{_OPENING}*"):
        if time.time() - found.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(found, ignore_errors=True)


def _git(*arguments: str, of: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"git does not answer for {of} ({type(error).__name__})", next_step="install git") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise Unavailable(
            f"git refuses {of}: {said[-1] if said else 'no such commit'}",
            next_step="check FRAUD_ML_CODE_REPO and FRAUD_ML_CODE_REV",
        )
    return done.stdout.strip()
