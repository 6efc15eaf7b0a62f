"""An exported model in a process of its own, in which nothing of this package can be imported.

Whoever serves the model elsewhere has its folder and public libraries, no more. For each format a stand-alone program
beside this file opens the folder; `child.py` runs it, asks the golden claims that lie in the folder, and tells what it
took. A new format is a file here with `open_model(folder)` and a row in PROGRAMS.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fraud_ml.artifacts import ModelManifest
from fraud_ml.models.golden import GOLDEN_FILE, TOLERANCE

CHILD = Path(__file__).with_name("child.py")
PROGRAMS = {
    "saved_model/saved_model.pb": "saved_model.py",
    "forest.skops": "skops_forest.py",
}  # exported file -> opener
LIMIT_S = 300.0  # then the process is stopped
_QUIET = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class CleanAnswer:
    """What came out of the clean process. problem: why it gave no answer; farthest: distance to the golden answers."""

    problem: str = ""
    claims: int = 0
    farthest: float = float("inf")
    memory_mib: float = float("inf")  # its highest resident memory
    cpu_s: float = float("inf")

    @property
    def is_known(self) -> bool:
        return not self.problem

    @property
    def answers_alike(self) -> bool:
        return self.farthest <= TOLERANCE


class CleanProcess:
    """Start it early, and `finish` it when its answer is needed: it works meanwhile."""

    def __init__(self, folder: Path, manifest: ModelManifest) -> None:
        """Start it on the model in `folder`, whose bytes the caller has verified."""
        self._folder, self._problem = folder, ""
        programs = [program for file, program in PROGRAMS.items() if file in manifest.files]
        if len(programs) != 1:
            self._problem = f"nobody wrote how to open a {manifest.family} model without this package"
            return
        program = CHILD.with_name(programs[0])
        self._place = tempfile.TemporaryDirectory(prefix="fraud-ml-clean-")
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LD_LIBRARY_PATH"}}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", str(CHILD), str(program), str(folder.resolve())],
            cwd=self._place.name,
            env={**kept, "HOME": self._place.name, **_QUIET},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def finish(self, limit_s: float = LIMIT_S) -> CleanAnswer:
        """Return its answer; afterwards nothing of it runs."""
        if self._problem:
            return CleanAnswer(self._problem)
        try:
            told, _ = self._process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return CleanAnswer(f"it gave no answer within {limit_s:g} s")
        finally:
            self.stop()
        try:
            answer = json.loads(told.decode().strip().splitlines()[-1])
        except (ValueError, IndexError):
            return CleanAnswer("it ended without an answer")
        if "problem" in answer:
            return CleanAnswer(str(answer["problem"]))
        expected = np.array(json.loads((self._folder / GOLDEN_FILE).read_text(encoding="utf-8"))["predictions"])
        arrived = np.array(answer["probabilities"], dtype=np.float64)
        apart = float(np.max(np.abs(arrived - expected))) if arrived.shape == expected.shape else float("inf")
        return CleanAnswer("", len(arrived), apart, float(answer["memory_mib"]), float(answer["cpu_s"]))

    def stop(self) -> None:
        """End it, however far it is."""
        if not self._problem:
            if self._process.poll() is None:
                self._process.kill()
            self._process.communicate()
            self._place.cleanup()
