"""Disturbed in mid-validation the stage could not judge, and says so; the rerun's verdict is the undisturbed one."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from fraud_ml.artifacts import Outcome, Verdict, Workspace, load
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.subject_keys import write_keys
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation import judge_snapshot
from tests.integration.validation.test_sealed_claims import laid_out

_VALIDATE = (
    "import resource, sys\n"
    "sys.dont_write_bytecode = True\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1))\n"
    "from fraud_ml.cli import main\n"
    "sys.argv = ['fraud-ml', 'validate', '--json']\n"
    "main()\n"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("claims") / "motor.parquet"
    write_rows(simulate("motor", claims=300, seed=7, begin=date(2025, 1, 1), end=date(2025, 12, 31)), path)
    return path


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Verdict]:
    def act(workspace: Workspace, params: object, home: Path, tfdv: Path) -> Verdict:
        monkeypatch.setenv("FRAUD_ML_HOME", str(home))
        monkeypatch.setenv("FRAUD_ML_TFDV_PYTHON", str(tfdv))
        return judge_snapshot(workspace, params.validation)  # type: ignore[attr-defined]

    return act


@pytest.mark.slow
def test_a_killed_worker_is_undecided_and_the_rerun_is_as_if_nothing_had_been(
    tmp_path, file, tfdv_python, tfdv_stand_in, judge
):
    workspace, _, params = laid_out(tmp_path / "run", file, sealed=False)
    disturbed = judge(workspace, params, tmp_path / "home", tfdv_stand_in("sleep 1; kill -9 $$"))
    (finding,) = (one for one in disturbed.findings if one.code.startswith("TFDV"))
    assert (finding.outcome, finding.stops, disturbed.is_accepted) == (Outcome.UNDECIDED, True, False)
    again = judge(workspace, params, tmp_path / "home", tfdv_python)
    quarantine = workspace.quarantine.read_bytes()
    assert again == judge(workspace, params, tmp_path / "another home", tfdv_python)
    assert quarantine == workspace.quarantine.read_bytes()


@pytest.mark.parametrize("most_bytes", [1_000, 150_000])
def test_a_full_disk_is_unavailable_and_the_rerun_is_as_if_nothing_had_been(
    tmp_path, file, tfdv_stand_in, judge, most_bytes
):
    """The fold does not fit, or the report does not."""
    workspace, _, params = laid_out(tmp_path / "run", file, sealed=False)
    silent = tfdv_stand_in("exit 1")
    done = subprocess.run(
        [sys.executable, "-c", _VALIDATE, str(most_bytes)],
        cwd=workspace.root,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "FRAUD_ML_HOME": str(tmp_path / "home"),
            "FRAUD_ML_TFDV_PYTHON": str(silent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "could not judge" in done.stderr) == (3, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not workspace.validation_verdict.exists()
    again = judge(workspace, params, tmp_path / "home", silent)
    assert load(Verdict, workspace.validation_verdict) == again
    assert again == judge(workspace, params, tmp_path / "another home", silent)


def test_what_is_kept_of_people_is_sealed_and_an_erased_person_is_forgotten(tmp_path, file, tfdv_stand_in, judge):
    silent = tfdv_stand_in("exit 1")
    workspace, contract, params = laid_out(tmp_path / "run", file, sealed=True)
    judge(workspace, params, tmp_path / "home", silent)
    cache = Settings.load().verdict_cache
    kept = {path: path.read_bytes() for path in cache.rglob("*.partial")}
    assert len(kept) == 12
    for content in kept.values():
        assert b"female" not in content
        assert b"claim_id" not in content
    gone = next(iter(sorted(open_snapshot(workspace.snapshot, contract).keys.people)))
    keys = open_snapshot(workspace.snapshot, contract).keys.without(gone, "2026-01-01")
    write_keys(keys, workspace.subject_keys)
    again = judge(workspace, params, tmp_path / "home", silent)
    assert again == judge(workspace, params, tmp_path / "another home", silent)
    changed = [path for path, content in kept.items() if path.read_bytes() != content]
    assert 1 <= len(changed) < 12  # the months in which the person stood were judged anew
