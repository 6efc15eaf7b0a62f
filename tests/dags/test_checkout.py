"""Opening a run: its own checkout, with real snapshot, real champion and real git."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud_airflow.as_of import require_as_of
from fraud_airflow.checkout import begin_checkout, open_run
from fraud_airflow.plan import Plan, StagePlan, read_plan
from fraud_airflow.processes import ProcessGroup
from fraud_ml.artifacts import Champion, SnapshotManifest, Workspace, load
from fraud_ml.errors import BadInput, Rejected, Unavailable
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation.served import read_served
from tests.toy_git import git

AS_OF = date(2024, 2, 29)
Open = Callable[..., dict[str, Any]]


# --- the date ---


@pytest.mark.parametrize(
    "key", [None, "", "2024-2-29", "20240229", "2024-02-30", "2024-02-29T00:00:00", "motor/2024-02-29"]
)
def test_run_without_a_date_for_a_key_is_refused_saying_how_to_give_one(key: str | None) -> None:
    with pytest.raises(BadInput, match="partition_key"):
        require_as_of(key, "fraud_retraining_motor")


def test_partition_key_is_the_as_of_date() -> None:
    assert require_as_of("2024-02-29", "fraud_retraining_motor") == AS_OF


# --- the checkout ---


@pytest.fixture
def small(project: Callable[..., Path], settings: Settings) -> Path:
    return project({"dvc.yaml": "stages: {a: {cmd: 'echo 1 > a', outs: [a]}}", "params.yaml": "seed: 7\n"})


def opened(settings: Settings) -> tuple[Path, list[str]]:
    lines: list[str] = []
    return begin_checkout(settings, "motor", AS_OF, lines.append), lines


def test_checkout_holds_the_commit_and_shares_the_cache(small: Path, settings: Settings) -> None:
    checkout, lines = opened(settings)
    assert git(checkout, "rev-parse", "HEAD") == git(small, "rev-parse", "HEAD")
    assert (checkout / "dvc.yaml").read_text() == (small / "dvc.yaml").read_text()
    assert f"dir = {settings.dvc_cache}" in (checkout / ".dvc" / "config.local").read_text()
    assert "autostage = false" in (checkout / ".dvc" / "config.local").read_text()
    assert lines == []


def test_uncommitted_changes_are_left_out_and_said(small: Path, settings: Settings) -> None:
    (small / "params.yaml").write_text("seed: 8\n")
    checkout, lines = opened(settings)
    assert (checkout / "params.yaml").read_text() == "seed: 7\n"
    assert "uncommitted changes" in lines[0]


def test_named_revision_is_checked_out(small: Path, settings: Settings) -> None:
    first = git(small, "rev-parse", "HEAD")
    (small / "params.yaml").write_text("seed: 8\n")
    git(small, "commit", "-aqm", "Another seed")
    there = Settings(settings.home, {**settings.values, "FRAUD_ML_CODE_REV": first})
    assert (opened(there)[0] / "params.yaml").read_text() == "seed: 7\n"


@pytest.mark.parametrize("change", [{"FRAUD_ML_CODE_REV": "no-such"}, {"FRAUD_ML_CODE_REPO": "/nowhere"}])
def test_absent_repository_or_revision_is_told(small: Path, settings: Settings, change: dict[str, str]) -> None:
    there = Settings(settings.home, {**settings.values, **change})
    with pytest.raises(Unavailable, match="FRAUD_ML_CODE"):
        opened(there)


def test_openings_that_were_killed_are_cleared_away_after_an_hour(small: Path, settings: Settings) -> None:
    left, fresh = opened(settings)[0], opened(settings)[0]
    os.utime(left, (time.time() - 3700, time.time() - 3700))
    opened(settings)
    assert not left.exists()
    assert fresh.exists()


# --- the whole opening, against real servers ---


@pytest.fixture(scope="module")
def place(s3_settings: Settings, postgres_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A place with one frozen snapshot of simulated claims, and an empty ledger."""
    from fraud_ml.contract import load_contract
    from fraud_ml.data.log import land
    from fraud_ml.data.simulator import simulate, write_rows
    from fraud_ml.data.snapshots import freeze

    home = tmp_path_factory.mktemp("place")
    own = uuid.uuid4().hex[:8]
    values = {
        **postgres_settings.values,
        **s3_settings.values,
        "FRAUD_ML_HOME": str(home),
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
        "FRAUD_ML_CODE_REPO": str(PROJECT),
    }
    names = ("AWS_", "FRAUD_ML_")
    lines = [f"{name}={value}" for name, value in values.items() if name.startswith(names)]
    (home / "settings.env").write_text("\n".join(lines) + "\n")
    settings = Settings(home, values)
    contract = load_contract("motor", PROJECT / "expectations")
    claims = home / "claims.parquet"
    write_rows(simulate("motor", claims=30, seed=5, begin=date(2024, 1, 1), end=date(2024, 3, 12)), claims)
    land(settings, contract, claims)
    freeze(settings, contract, AS_OF)
    Ledger(settings.ledger_url).migrate()
    return settings


@pytest.fixture
def opening(place: Settings) -> Open:
    def act(as_of: date = AS_OF, plan: Plan | None = None, has_rival: bool = True, **form: object) -> dict[str, Any]:
        checkout = begin_checkout(place, "motor", as_of, print)
        group = ProcessGroup(checkout / ".dvc" / "tmp" / "fraud-airflow" / "open", checkout, "dag/run/open_run")
        plan = plan or read_plan(PROJECT / "dvc.yaml")
        return open_run(
            place, group, dataset="motor", as_of=as_of, plan=plan, form=form, has_rival=has_rival, say=print
        )

    return act


@pytest.mark.stack
def test_opened_run_has_its_snapshot_and_champion_pinned_in_its_own_place(opening: Open, place: Settings) -> None:
    run = opening()
    assert Path(run["path"]) == place.runs / "motor" / "2024-02-29" / run["run_key"]
    workspace = Workspace(Path(run["path"]))
    manifest = load(SnapshotManifest, workspace.snapshot_manifest)
    assert (manifest.dataset, manifest.as_of, manifest.digest) == ("motor", "2024-02-29", run["snapshot_digest"])
    assert load(Champion, workspace.champion_record) == Champion()
    assert read_served(workspace.served).claims == 0
    assert run["code_rev"] == git(PROJECT, "rev-parse", "HEAD")
    entry = Ledger(place.ledger_url).latest(kind=EntryKind.RUN_OPENED, subject=run["run_key"])
    assert entry is not None


@pytest.mark.stack
def test_opening_a_run_again_finds_the_same_checkout_untouched(opening: Open) -> None:
    first = opening()
    (Path(first["path"]) / "workspace" / "mark").write_text("left by a stage")
    assert opening() == first
    assert (Path(first["path"]) / "workspace" / "mark").exists()


@pytest.mark.stack
def test_form_makes_another_run_whose_params_say_what_was_chosen(opening: Open) -> None:
    plain, chosen = opening(), opening(families=["random_forest"])
    assert plain["run_key"] != chosen["run_key"]
    params = yaml.safe_load((Path(chosen["path"]) / "params.yaml").read_text())
    assert params["training"]["families"] == ["random_forest"]
    assert chosen["overrides"] == {"training.families": ["random_forest"]}


@pytest.mark.stack
def test_choosing_what_params_say_anyway_is_the_same_run(opening: Open) -> None:
    families = yaml.safe_load((PROJECT / "params.yaml").read_text())["training"]["families"]
    assert opening(families=families)["run_key"] == opening()["run_key"]


@pytest.mark.stack
def test_run_without_a_rival_is_never_taken_for_one_that_met_the_champion(opening: Open, place: Settings) -> None:
    """A backfilled run first, then one of the same date that may be promoted: each has its own checkout."""
    alone, meeting = opening(has_rival=False), opening()
    assert alone["run_key"] != meeting["run_key"]
    assert alone["snapshot_digest"] == meeting["snapshot_digest"]
    assert load(Champion, Workspace(Path(alone["path"])).champion_record) == Champion()
    ledger = Ledger(place.ledger_url)
    assert ledger.latest(kind=EntryKind.RUN_OPENED, subject=alone["run_key"]) is None  # no champion was noted for it
    assert ledger.latest(kind=EntryKind.RUN_OPENED, subject=meeting["run_key"]) is not None


@pytest.mark.stack
def test_parameter_that_does_not_fit_is_rejected_with_its_sentence(opening: Open) -> None:
    with pytest.raises(Rejected, match=r"params\.yaml.*training\.seed"):
        opening(seed=-1)


@pytest.mark.stack
def test_date_that_was_never_frozen_is_rejected_and_leaves_no_run(opening: Open, place: Settings) -> None:
    with pytest.raises(Rejected, match="2024-01-31"):
        opening(as_of=date(2024, 1, 31))
    assert [path for path in (place.runs / "motor" / "2024-01-31").iterdir() if not path.name.startswith(".")] == []


def test_tasks_rendered_from_another_dvc_yaml_than_the_commits_are_refused(small: Path, settings: Settings) -> None:
    checkout, _ = opened(settings)
    group = ProcessGroup(checkout / ".dvc" / "tmp" / "fraud-airflow" / "open", checkout, "dag/run/open_run")
    another = Plan((StagePlan("a", ()), StagePlan("b", ("a",))))
    with pytest.raises(Rejected, match=r"commit dvc\.yaml"):
        open_run(settings, group, dataset="motor", as_of=AS_OF, plan=another, form={}, say=print)
