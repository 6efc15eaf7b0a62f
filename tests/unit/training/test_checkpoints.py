"""A training killed at any moment goes on where it was, to the same bits; what another version left is refused."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from fraud_ml.artifacts import ModelManifest, TrainingReport, Workspace, load
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.environment import running_version
from fraud_ml.params import TrainingParams, load_params
from fraud_ml.training import fit_families
from tests.tampering import flip_a_byte
from tests.toy_claims import toy_claims, toy_workspace

KILLS = 10
# Processes that begin with TensorFlow loaded: the five seconds of its import say nothing about training.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(
    ["fraud_ml.models.blend", "fraud_ml.models.boosted_trees", "fraud_ml.models.keras_tabular"]
)


def train(root: Path, to: Connection) -> None:
    """Train as the stage does; each line of progress is sent, then the chosen model's digest."""
    workspace = Workspace(root)
    report = fit_families(workspace, load_params(workspace.params).training, to.send)
    to.send(report.results)


def start(root: Path) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    receiver, sender = FRESH.Pipe(duplex=False)
    process = FRESH.Process(target=train, args=(root, sender))
    process.start()
    sender.close()
    return process, receiver


def lines_of(root: Path) -> list[str]:
    """Train to the end in a fresh process and return what it said."""
    process, receiver = start(root)
    said = []
    while not isinstance(line := receiver.recv(), tuple):
        said.append(line)
    process.join()
    assert process.exitcode == 0
    return said


@pytest.mark.slow
@pytest.mark.parametrize("family", ["boosted_trees", "keras_tabular"])  # each of the two that keep checkpoints
def test_killed_at_ten_random_moments_and_tried_again_the_model_is_that_of_an_undisturbed_training(
    family: str, tmp_path: Path
) -> None:
    whole, _ = toy_workspace(tmp_path / "whole", toy_claims(800), families=[family])
    said = lines_of(whole.root)
    undisturbed = load(TrainingReport, whole.training_report)
    dice, went_on = random.Random(5), 0
    for number in range(KILLS):
        root = tmp_path / str(number)
        shutil.copytree(whole.root, root, ignore=shutil.ignore_patterns("models", "training.json"))
        process, receiver = start(root)
        for _ in range(dice.randrange(len(said))):
            receiver.recv()
        time.sleep(dice.random() * 0.05)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        went_on += any("a checkpoint" in line for line in lines_of(root))
        assert load(TrainingReport, Workspace(root).training_report) == undisturbed
        assert exported(Workspace(root), family) == exported(whole, family)
        assert not Workspace(root).checkpoints.exists()
    assert went_on >= KILLS / 2


def exported(workspace: Workspace, family: str) -> ModelManifest:
    """Return the manifest, which names the SHA-256 of each exported file."""
    return load(ModelManifest, workspace.models / family / "model.json")


class Interrupted(Exception):
    """Stands for the moment at which a test stops a training."""


def interrupt(workspace: Workspace, params: TrainingParams, after: str) -> list[str]:
    """Train until a line of progress holds `after`; return the lines up to there."""
    said: list[str] = []

    def listen(line: str) -> None:
        said.append(line)
        if after in line:
            raise Interrupted

    with pytest.raises(Interrupted):
        fit_families(workspace, params, listen)
    return said


def checkpoints(workspace: Workspace) -> list[Path]:
    return sorted(path for path in workspace.checkpoints.rglob("*") if path.is_file())


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose training was interrupted while the networks of the blend learned for the first time."""
    workspace, params = toy_workspace(tmp_path_factory.mktemp("stopped"), families=["blend"])
    interrupt(workspace, params.training, after="epoch 3/")
    return workspace.root


def copy_of(stopped: Path, root: Path) -> tuple[Workspace, TrainingParams]:
    workspace = Workspace(Path(shutil.copytree(stopped, root / "copy")))
    return workspace, load_params(workspace.params).training


@pytest.mark.slow
def test_what_stands_in_a_checkpoint_is_not_learned_again(stopped: Path, tmp_path: Path) -> None:
    workspace, params = copy_of(stopped, tmp_path)
    said: list[str] = []
    fit_families(workspace, params, said.append)
    first = said[: next(place for place, line in enumerate(said) if "learning again" in line)]
    assert next(line for line in first if "trees" in line).endswith("all 15 trees stand in a checkpoint")
    assert not any("trees in each" in line for line in first)
    assert [line.split(":")[2].strip() for line in first if "epoch" in line][:2] == [
        "going on from epoch 3 of a checkpoint",
        "epoch 4/6",
    ]


@pytest.mark.slow
def test_a_training_that_went_on_exports_the_bytes_of_an_undisturbed_one(stopped: Path, tmp_path: Path) -> None:
    went_on, _ = copy_of(stopped, tmp_path / "went on")
    afresh, _ = copy_of(stopped, tmp_path / "afresh")
    shutil.rmtree(afresh.checkpoints)
    assert any("a checkpoint" in line for line in lines_of(went_on.root))
    assert not any("a checkpoint" in line for line in lines_of(afresh.root))
    assert exported(went_on, "blend") == exported(afresh, "blend")


def test_checkpoints_hold_no_word_of_a_claim(stopped: Path) -> None:
    for path in checkpoints(Workspace(stopped)):
        content = path.read_bytes()
        assert not any(word in content for word in (b"north", b"third party", b"recent"))


def rewrite(path: Path, **header: object) -> None:
    line, _, content = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(line), **header}).encode() + b"\n" + content)


def test_a_checkpoint_of_another_version_is_refused_and_nothing_is_trained(stopped: Path, tmp_path: Path) -> None:
    workspace, params = copy_of(stopped, tmp_path)
    for path in checkpoints(workspace):
        rewrite(path, version={**running_version(), "tensorflow": "1.0"})
    with pytest.raises(BadInput, match="a checkpoint of another version") as refused:
        fit_families(workspace, params, quiet)
    assert "tensorflow 1.0" in str(refused.value)
    assert "remove it to train from the start" in str(refused.value)
    assert refused.value.exit_code == 2
    assert not workspace.training_report.exists()


def test_a_checkpoint_whose_bytes_changed_is_refused(stopped: Path, tmp_path: Path) -> None:
    workspace, params = copy_of(stopped, tmp_path)
    for path in checkpoints(workspace):
        flip_a_byte(path, -100)
    with pytest.raises(Tampered, match="its bytes differ from its own digest"):
        fit_families(workspace, params, quiet)


@pytest.mark.parametrize("content", [b"", b"nothing", b"[]\n"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path).part("trees")
    checkpoint.save({"leaves": np.zeros(2)})
    (tmp_path / "trees.checkpoint").write_bytes(content)
    with pytest.raises(Tampered, match=r"trees\.checkpoint: not a checkpoint"):
        checkpoint.load()


@pytest.mark.slow
def test_a_training_with_other_params_does_not_go_on_from_it(stopped: Path, tmp_path: Path) -> None:
    workspace, params = copy_of(stopped, tmp_path)
    said: list[str] = []
    fit_families(workspace, params.model_copy(update={"seed": 8}), said.append)
    assert not any("checkpoint" in line for line in said)
    assert not workspace.checkpoints.exists()


def test_what_was_saved_last_is_loaded_whole_and_nothing_else_lies_there(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path).part("deep").part("er")
    assert checkpoint.load() is None
    for last in (1.0, 2.0):
        checkpoint.save({"weights": np.full((2, 3), last, np.float32), "held/0": np.arange(3)})
    learned = checkpoint.load()
    assert learned is not None
    np.testing.assert_array_equal(learned["weights"], np.full((2, 3), 2.0, np.float32))
    np.testing.assert_array_equal(learned["held/0"], np.arange(3))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["er.checkpoint"]


def test_nowhere_keeps_nothing() -> None:
    NOWHERE.part("x").save({"weights": np.zeros(1)})
    assert NOWHERE.part("x").load() is None
