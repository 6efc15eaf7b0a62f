"""What every model family offers. A new one is a file beside this and a row in FAMILIES."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.errors import BadInput
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.inputs import Columns, Inputs, read_columns

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]  # one line about long work, for people


@dataclass(frozen=True)
class Examples:
    """Labelled claims. columns: see `inputs.Columns`; labels: (n_claims,) of {0, 1}."""

    columns: Columns
    labels: NDArray[np.int8]

    @classmethod
    def of(cls, frame: "pd.DataFrame", inputs: Inputs) -> Self:
        """Return the frame's claims, whose `label` is 0 or 1, as models take them."""
        return cls(read_columns(frame, inputs), frame["label"].to_numpy())


@dataclass(frozen=True)
class Coded:
    """Claims as numbers only, once their words were looked up, see `coding.Coder`.

    cells: (n_claims, n_categories) int32, see `cells.Cells`; numbers: (n_claims, n_numbers) float32, NaN where missing.
    """

    cells: NDArray[np.int32]
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Explained:
    """What each column adds to the calibrated log-odds: they are about `base` and the row's contributions, added up.

    base: the log-odds of a claim without anything special; contributions: (n_claims, n_columns) as in `Inputs.columns`.
    """

    base: float
    contributions: NDArray[np.float64]


@dataclass(frozen=True)
class Opened:
    """An exported model, loaded: functions of claims to (n_claims,) calibrated probabilities, and to their reasons."""

    answer: Callable[[Columns], NDArray[np.float64]]
    answer_coded: Callable[[Coded], NDArray[np.float64]]  # the same, for many claims at once
    explain: Callable[[Columns], Explained]


@dataclass(frozen=True)
class Calibration:
    """Platt's scaling: probability = sigmoid(slope * logit + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0


def require_finite(family: str, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n_claims,) log-odds as a model of this family answered. Raises BadInput where some are no number."""
    strange = int((~np.isfinite(logits)).sum())
    if strange:
        raise BadInput(
            f"`{family}` learned to answer what is no number",
            expected="finite log-odds of every claim",
            arrived=f"{strange:,} of {len(logits):,} are not",
            next_step=f"lower its learning rate under `training: {{{family}: …}}` in params.yaml",
        )
    return logits


class Family(Protocol):
    """A fitted model of one family; the same examples, params and seed give the same bits in every process."""

    is_drawn: ClassVar[bool]  # another seed gives another model

    def refit(
        self, inputs: Inputs, train: Examples, *, progress: Progress, checkpoint: Checkpoint = NOWHERE
    ) -> "Family":
        """Return the model that the same params and seed learn from other examples, ended where this one ended."""

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n_claims,) uncalibrated log-odds."""

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        """Yield everything learned under names that do not depend on the process."""

    def export(self, folder: Path, calibration: Calibration) -> None:
        """Write what `open` needs into the existing `folder`."""

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        """Return the exported model, loaded."""


class Learner(Family, Protocol):
    """A family that learns from claims; a blend is joined from others instead."""

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        train: Examples,
        validation: Examples,
        params: Any,
        *,
        seed: int,
        progress: Progress,
        checkpoint: Checkpoint = NOWHERE,
    ) -> Self:
        """Learn from `train`; `validation`, which is later, may only say when to stop.

        Goes on from `checkpoint` where a fit of the same was interrupted, to the same model.
        """
