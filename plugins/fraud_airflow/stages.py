"""Render a plain dvc.yaml as a task group: one task a stage, in the order of what they read and write."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context, TaskGroup, XComArg

from fraud_airflow.plan import Plan, StagePlan
from fraud_airflow.processes import ProcessGroup
from fraud_airflow.reports import ReportLink, publish_report, report_page
from fraud_airflow.repro import run_stage, stage_group
from fraud_ml.artifacts import Finding, Outcome, Verdict, load
from fraud_ml.errors import FraudMLError, NotAccepted
from fraud_ml.settings import Settings


def dvc_task_group(
    plan: Plan,
    run: XComArg,
    *,
    group_id: str = "stages",
    pools: Mapping[str, str] | None = None,
    timeouts: Mapping[str, timedelta] | None = None,
    announces: Mapping[str, Asset] | None = None,
) -> TaskGroup:
    """Return a task group with one task for each stage of `plan`, each working in the checkout that `run` opened.

    `pools`, `timeouts` and `announces` (what a stage's accepted verdict makes known) are by stage name; a stage that
    they leave out has the DAG's defaults, or announces nothing.
    """
    with TaskGroup(group_id, tooltip="The stages of dvc.yaml") as group:
        tasks: dict[str, StageOperator] = {}
        for stage in plan.stages:
            chosen: dict[str, Any] = {}
            if pools and stage.name in pools:
                chosen["pool"] = pools[stage.name]
            if timeouts and stage.name in timeouts:
                chosen["execution_timeout"] = timeouts[stage.name]
            if announces and stage.name in announces:
                chosen["announces"] = announces[stage.name]
            tasks[stage.name] = StageOperator(task_id=stage.name, stage=stage, run=run, **chosen)
            for earlier in stage.after:
                tasks[earlier] >> tasks[stage.name]
    return group


REPORTS = {"validate": "Validation report", "evaluate": "Evaluation report"}  # what the button of a stage's task says


class StageOperator(BaseOperator):
    """Runs one stage in its run's own checkout, publishes its report and stops the run when its verdict is `rejected`.

    `announces` is an asset whose event tells an accepted verdict; of a rejected one Airflow tells no event, since the
    task fails. Returns {"stage", "cached", "command_s", "wall_s"}. A retry after any kill gives the same outputs.
    """

    template_fields = ("run",)
    ui_color = "#e3f2e6"

    def __init__(self, *, stage: StagePlan, run: Any, announces: Asset | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs, outlets=[announces] if announces else None)
        self.stage = stage
        self.run = run
        self.announces = announces
        self.report_page = ""
        if stage.report or stage.verdict:
            self.operator_extra_links = (ReportLink(REPORTS.get(stage.name, "Report") if stage.report else "Verdict"),)
        self._group: ProcessGroup | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        checkout = Path(self.run["path"])
        settings = Settings.load()
        self._group = stage_group(checkout, owner_of(context))
        done = run_stage(
            self._group,
            self.stage.name,
            settings,
            lambda line: self.log.info("%s", line),
            force=bool(context["params"].get("force")),
        )
        self.log.info(
            "Stage %s: %s",
            done.stage,
            "answered from the cache" if done.cached else f"its command took {done.command_s} s",
        )
        verdict = self._publish_and_judge(settings, checkout)
        if verdict and self.announces:
            context["outlet_events"][self.announces].extra = self.announcement(verdict)
        return done.as_dict()

    def announcement(self, verdict: Verdict) -> dict[str, Any]:
        """Return what the asset event says of an accepted verdict; nothing of any claim."""
        return {
            "about": verdict.about,
            "digest": verdict.subject_digest,
            "rows": verdict.rows,
            "quarantined_rows": verdict.quarantined_rows,
            "warnings": sorted({finding.code for finding in verdict.findings if finding.outcome is Outcome.FAILED}),
            "report": self.report_page,
        }

    def on_kill(self) -> None:
        if self._group:
            self._group.end(wait=False)

    def _publish_and_judge(self, settings: Settings, checkout: Path) -> Verdict | None:
        """Return the stage's verdict if it has one; it is accepted then."""
        verdict = load(Verdict, checkout / self.stage.verdict) if self.stage.verdict else None
        if self.stage.report or self.stage.verdict:
            try:
                publish_report(settings, self.run, self.stage, checkout)
                self.report_page = report_page(settings, self.run, self.stage)
                self.log.info("Report: %s", self.report_page)
            except FraudMLError as error:
                if verdict is None or verdict.is_accepted:
                    raise
                self.log.warning("The report could not be published: %s", error)
        if verdict is None or verdict.is_accepted:
            return verdict
        for finding in verdict.stopping:
            self.log.error("%s", describe(finding, verdict))
        raise rejection(verdict, self.stage.name, self.report_page)


def owner_of(context: Context) -> str:
    """Return the name of the task that works; every attempt of it has the same one."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"


def describe(finding: Finding, verdict: Verdict) -> str:
    """Return one sentence about a finding that stops a run: what, where, expected, arrived, how many."""
    where = f", column {finding.column}" if finding.column else ""
    many = "" if finding.count is None else f" {finding.count:,} of {verdict.rows:,} rows."
    next_step = f" Next: {finding.next_step.rstrip('.')}." if finding.next_step else ""
    return (
        f"{finding.code} {finding.title}{where} ({finding.outcome}): expected {finding.expected}, "
        f"arrived {finding.arrived}.{many}{next_step}"
    )


def rejection(verdict: Verdict, stage: str, page: str) -> NotAccepted:
    """Return the error that ends a run whose verdict is `rejected`; trying again cannot help."""
    stopping = verdict.stopping
    first = describe(stopping[0], verdict) if stopping else "the verdict holds no finding at all"
    more = f" (and {len(stopping) - 1} more)" if len(stopping) > 1 else ""
    return NotAccepted(
        f"{stage}: {verdict.about} is rejected: {first.rstrip('.')}{more}",
        next_step=f"read {page}" if page else "read the findings above",
        codes=tuple(finding.code for finding in stopping),
    )
