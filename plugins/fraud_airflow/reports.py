"""Where a stage's report is published, and the link to it on the task's page."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from fraud_airflow.plan import StagePlan
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PAGES = "/fraud"  # the prefix under which the plugin's pages are served


class ReportLink(BaseOperatorLink):
    """A button on the task's page that opens what that attempt published."""

    def __init__(self, label: str = "Report") -> None:
        self.label = label

    @property
    def name(self) -> str:
        return self.label

    @property
    def xcom_key(self) -> str:
        return "report_page"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002
        return getattr(operator, "report_page", "")


def publish_report(settings: Settings, run: Mapping[str, Any], stage: StagePlan, checkout: Path) -> None:
    """Copy the stage's report folder and verdict to the object store; doing it again writes the same objects.

    Raises Unavailable when the store cannot be reached.
    """
    from fraud_ml.objects import ObjectStore

    folder = f"{settings.reports_url.rstrip('/')}/{_place(run, stage)}"
    files = {f"{folder}/{name}": path for name, path in _files(stage, checkout).items()}
    ObjectStore(settings).upload(files)


def report_page(settings: Settings, run: Mapping[str, Any], stage: StagePlan) -> str:
    """Return the address of the stage's report behind Airflow's login."""
    from airflow.sdk.configuration import conf

    base = settings.values.get("FRAUD_ML_AIRFLOW_URL") or conf.get("api", "base_url", fallback="/")
    return f"{base.rstrip('/')}{PAGES}/reports/{_place(run, stage)}/{Path(stage.report or stage.verdict or '').name}"


def _place(run: Mapping[str, Any], stage: StagePlan) -> str:
    return f"{run['dataset']}/{run['as_of']}/{run['run_key']}/{stage.name}"


def _files(stage: StagePlan, checkout: Path) -> dict[str, Path]:
    """Return every file to publish by its name there: the report's whole folder, and the verdict beside it."""
    files: dict[str, Path] = {}
    if stage.report:
        page = checkout / stage.report
        beside = page.parent.rglob("*") if page.parent != checkout else [page]
        files = {path.relative_to(page.parent).as_posix(): path for path in beside if path.is_file()}
    if stage.verdict:
        files[Path(stage.verdict).name] = checkout / stage.verdict
    return files
