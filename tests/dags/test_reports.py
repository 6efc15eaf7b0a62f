"""Which objects a reader of reports can reach, and what a stage publishes."""

from pathlib import Path

import pytest

from fraud_airflow.plan import StagePlan
from fraud_airflow.plugin import object_key
from fraud_airflow.reports import publish_report, report_page
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

RUN = {"dataset": "motor", "as_of": "2025-12-31", "run_key": "0123456789ab"}


def test_published_path_is_the_key_of_its_object() -> None:
    path = "motor/2025-12-31/0123456789ab/validate/static/plot.1.png"
    assert object_key(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "motor", "../motor/x", "motor/../x", "motor/./x", "motor//x", "/motor/x", "motor/x/", "motor/.hidden"),
        *("motor/a\\b", "motor/a b", "motor/a\nb", "motor/%2e%2e/x", "motor/a\0b"),
    ],
)
def test_path_that_is_not_plain_names_below_a_dataset_reaches_nothing(path: str) -> None:
    assert object_key(path) is None


def test_link_leads_to_the_report_behind_airflow() -> None:
    settings = Settings(Path("/nowhere"), {"FRAUD_ML_AIRFLOW_URL": "http://airflow:8080/"})
    stage = StagePlan("validate", (), verdict="workspace/v/verdict.json", report="workspace/v/report/index.html")
    page = report_page(settings, RUN, stage)
    assert page == "http://airflow:8080/fraud/reports/motor/2025-12-31/0123456789ab/validate/index.html"
    assert object_key(page.split("/fraud/reports/")[1]) is not None


@pytest.mark.stack
def test_whole_report_folder_and_the_verdict_are_published_and_nothing_else(
    s3_settings: Settings, tmp_path: Path
) -> None:
    for name in ("report/index.html", "report/static/a.css", "verdict.json", "quarantine.parquet"):
        (tmp_path / "workspace" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "workspace" / name).write_text(name)
    stage = StagePlan("validate", (), verdict="workspace/verdict.json", report="workspace/report/index.html")
    run = {**RUN, "run_key": "published0000"}
    publish_report(s3_settings, run, stage, tmp_path)
    publish_report(s3_settings, run, stage, tmp_path)
    place = f"{s3_settings.reports_url}/motor/2025-12-31/published0000/"
    addresses = ObjectStore(s3_settings).below(place)
    assert {found.removeprefix(place) for found in addresses} == {
        "validate/index.html",
        "validate/static/a.css",
        "validate/verdict.json",
    }


def test_report_at_the_root_of_the_checkout_does_not_publish_the_checkout(tmp_path: Path) -> None:
    from fraud_airflow.reports import _files

    (tmp_path / "report.html").write_text("r")
    (tmp_path / "secret").write_text("s")
    assert set(_files(StagePlan("a", (), report="report.html"), tmp_path)) == {"report.html"}
