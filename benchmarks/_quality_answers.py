"""Each model's answers of one seed, kept in a file, so that a comparison that was cut short goes on where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import digest_of, file_digest
from fraud_ml.models.environment import running_environment
from fraud_ml.settings import PROJECT

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Answers:
    """Calibrated probabilities for each round's test, and the CPU seconds of all learning."""

    by_round: tuple[NDArray[np.float64], ...]
    train_cpu_s: float


@dataclass(frozen=True)
class Kept:
    """A folder of answers; `about` is a digest of everything that decides them, apart from the file's name."""

    folder: Path
    about: str

    @classmethod
    def below(cls, folder: Path, *decided_by: object) -> "Kept":
        """Return the place for this code, these libraries, and what it is `decided_by` beside them, alone."""
        rooms = (PROJECT / "fraud_ml" / "features", PROJECT / "fraud_ml" / "data" / "simulator")
        ours = [path for path in HERE.glob("*quality*.py") if "settings" not in path.stem and "tuning" not in path.stem]
        files = [*ours, *(path for room in rooms for path in room.rglob("*.py"))]
        code = {path.relative_to(PROJECT).as_posix(): file_digest(path) for path in sorted(files)}
        about = digest_of([code, running_environment(), *decided_by])[:16]
        return cls(folder, about)

    def answers(self, name: str, compute: Callable[[], Answers]) -> Answers:
        """Return what was answered under this name before, else compute and keep it."""
        path = self.folder / f"{self.about}-{name}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as found:
                rounds = int(found["rounds"])
                return Answers(tuple(found[str(part)] for part in range(rounds)), float(found["train_cpu_s"]))
        answered = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        with partial.open("wb") as stream:
            parts = {str(part): values for part, values in enumerate(answered.by_round)}
            held = {**parts, "rounds": np.array(len(parts)), "train_cpu_s": np.array(answered.train_cpu_s)}
            np.savez(stream, allow_pickle=False, **held)
        partial.replace(path)
        return answered
