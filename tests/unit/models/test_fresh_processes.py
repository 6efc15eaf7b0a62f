"""Models do not depend on the process that trains them, and those in TensorFlow answer without this package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fraud_ml.artifacts import ModelManifest, load
from fraud_ml.models import FAMILIES
from tests.toy_claims import PROJECT, toy_workspace

IN_TENSORFLOW = [family for family in FAMILIES if family != "random_forest"]
TRAIN = """
import sys
from pathlib import Path
from fraud_ml.artifacts import Workspace
from fraud_ml.params import load_params
from fraud_ml.training import fit_families
workspace = Workspace(Path(sys.argv[1]))
fit_families(workspace, load_params(workspace.params).training)
"""
ANSWER_ALONE = """
import json, sys
sys.modules["fraud_ml"] = None  # from here on `import fraud_ml` fails
try:
    import fraud_ml
except ImportError:
    pass
else:
    raise SystemExit("fraud_ml can be imported")
import numpy as np, tensorflow as tf
for folder in sys.argv[1:]:
    golden = json.load(open(folder + "/golden.json"))
    loaded = tf.saved_model.load(folder + "/saved_model")
    signature = loaded.signatures["serving_default"]
    taken = signature.structured_input_signature[1]
    assert {spec.dtype for spec in taken.values()} == {tf.string, tf.float32}, taken
    assert all(spec.shape.as_list() == [None] for spec in taken.values()), taken
    given = {}
    for name, values in golden["claims"].items():
        argument = name.replace(" ", "_")
        if taken[argument].dtype == tf.float32:
            values = [float("nan") if value is None else value for value in values]
        given[argument] = tf.constant(values, taken[argument].dtype)
    arrived = signature(**given)["probability"].numpy()
    print(float(np.abs(arrived - golden["predictions"]).max()), arrived.shape)
"""


def run(script: str, *arguments: str, cwd: Path, **environ: str) -> str:
    """Run a script in a fresh process elsewhere and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("first")
    workspace, _ = toy_workspace(root, families=list(FAMILIES))
    run(TRAIN, str(workspace.root), cwd=root, TF_NUM_INTRAOP_THREADS="1", PYTHONHASHSEED="1")
    return root


@pytest.mark.slow
def test_other_process_folder_threads_and_hash_seed_give_the_same_models_byte_for_byte(
    trained: Path, tmp_path: Path
) -> None:
    workspace, _ = toy_workspace(tmp_path / "second" / "deeper", families=list(FAMILIES))
    threads = {"TF_NUM_INTRAOP_THREADS": "4", "TF_NUM_INTEROP_THREADS": "3", "OMP_NUM_THREADS": "4"}
    run(TRAIN, str(workspace.root), cwd=tmp_path, PYTHONHASHSEED="2", **threads)
    for family in FAMILIES:
        first, second = (
            load(ModelManifest, root / "workspace" / "models" / family / "model.json")
            for root in (trained, workspace.root)
        )
        assert first.model_digest == second.model_digest
        assert first == second  # even the exported bytes


@pytest.mark.slow
def test_exported_models_answer_where_this_package_cannot_be_imported(trained: Path, tmp_path: Path) -> None:
    folders = [str(trained / "workspace" / "models" / family) for family in IN_TENSORFLOW]
    answers = run(ANSWER_ALONE, *folders, cwd=tmp_path, PYTHONPATH="").splitlines()
    assert len(answers) == len(IN_TENSORFLOW)
    for answer in answers:
        farthest, shape = answer.split(" ", 1)
        assert float(farthest) <= 1e-6
        assert shape == "(100,)"


@pytest.mark.slow
@pytest.mark.parametrize("family", IN_TENSORFLOW)
def test_what_serving_computes_is_in_the_graph_and_nothing_else_is_stored(trained: Path, family: str) -> None:
    folder = trained / "workspace" / "models" / family
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "model.json",
        "inputs.json",
        "golden.json",
        "saved_model/saved_model.pb",
        "saved_model/variables/variables.index",
        "saved_model/variables/variables.data-00000-of-00001",
    }
    golden = json.loads((folder / "golden.json").read_text())
    assert len(golden["predictions"]) == 100
