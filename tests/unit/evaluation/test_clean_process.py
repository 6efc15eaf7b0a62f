"""An exported model answers in a process where this package cannot be imported, or the gate hears why not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fraud_ml.artifacts import ModelManifest
from fraud_ml.evaluation.clean_process import CHILD, PROGRAMS, CleanProcess
from tests.toy_models import export_forest


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelManifest]:
    folder = tmp_path_factory.mktemp("export") / "forest"
    return folder, export_forest(folder)


def test_an_exported_forest_answers_a_hundred_golden_claims_alike(forest: tuple[Path, ModelManifest]) -> None:
    answer = CleanProcess(*forest).finish()
    assert (answer.problem, answer.claims) == ("", 100)
    assert answer.answers_alike
    assert 20 < answer.memory_mib < 2000
    assert 0.1 < answer.cpu_s < 60


def test_an_answer_that_differs_from_the_golden_one_is_seen(forest: tuple[Path, ModelManifest], tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(forest[0], tmp_path / "changed"))
    (folder / "calibration.json").write_text('{"slope": 1.0, "intercept": 0.001}')
    answer = CleanProcess(folder, forest[1]).finish()
    assert answer.is_known
    assert not answer.answers_alike


def test_a_program_that_needs_this_package_has_no_answer(forest: tuple[Path, ModelManifest], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from fraud_ml.models import load_model as open_model\n")
    done = subprocess.run(
        [sys.executable, "-I", str(CHILD), str(program), str(forest[0])], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"problem": "the model could not be opened or asked (ModuleNotFoundError)"}


def test_a_format_that_nobody_can_open_has_no_answer(tmp_path: Path) -> None:
    answer = CleanProcess(tmp_path, ModelManifest("oracle", "", "", {"oracle.bin": ""}, ())).finish()
    assert answer.problem == "nobody wrote how to open a oracle model without this package"


def test_a_process_that_hangs_is_ended(forest: tuple[Path, ModelManifest]) -> None:
    process = CleanProcess(*forest)
    assert process.finish(limit_s=0.01).problem == "it gave no answer within 0.01 s"
    assert process._process.poll() is not None


def test_the_programs_are_stand_alone() -> None:
    for name in (CHILD.name, *PROGRAMS.values()):
        text = CHILD.with_name(name).read_text()
        assert "from fraud_ml" not in text
        assert text.count("import fraud_ml") == (2 if name == CHILD.name else 0)
