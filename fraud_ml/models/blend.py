"""A weighted mean of other families' log-odds, as one model; validation chooses the weights."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.calibrate import calibrated_losses
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.family import Calibration, Examples, Family, Opened, Progress
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.saved_model import Graph, answer_graph, export_graph, open_graph
from fraud_ml.models.tensorflow_runtime import tf
from fraud_ml.params import BlendParams


class BlendGraph(tf.Module):
    """The parts' graphs and the weight of each. Implements `saved_model.Graph`."""

    def __init__(self, parts: list[Graph], weights: NDArray[np.float32]) -> None:
        super().__init__()
        self.parts, self.shares = parts, weights

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.add_n([share * part(columns) for part, share in zip(self.parts, self.shares, strict=True)])

    def coded(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        return tf.add_n(
            [share * part.coded(cells, numbers) for part, share in zip(self.parts, self.shares, strict=True)]
        )

    def reasons(self, cells: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        told = [part.reasons(cells, numbers) for part in self.parts]
        bases, contributions = (
            [share * part for share, part in zip(self.shares, parts, strict=True)] for parts in zip(*told, strict=True)
        )
        return tf.add_n(bases), tf.add_n(contributions)


class Blend:
    """Fitted models, joined. Implements `family.Family`, but is joined from fitted parts instead of fitted."""

    is_drawn = True  # by its parts

    def __init__(self, inputs: Inputs, parts: Mapping[str, Family], weights: NDArray[np.float32]) -> None:
        self.inputs = inputs
        self.parts = {name: part for (name, part), share in zip(parts.items(), weights, strict=True) if share > 0}
        self.shares = weights[weights > 0]
        graphs = [part.graph for part in self.parts.values()]  # type: ignore[attr-defined]  # TensorFlow's have one
        self.graph = BlendGraph(graphs, self.shares)

    @classmethod
    def join(
        cls,
        inputs: Inputs,
        parts: Mapping[str, Family],
        validation: Examples,
        params: BlendParams,
        *,
        progress: Progress,
    ) -> Self:
        """Return the blend that holds most of the first part, among those that fit `validation` as well as the best.

        As well: its calibrated log loss is above the lowest one by no more than the standard error of their difference
        over the same claims (the one-standard-error rule of Breiman et al. 1984). A later part is there only when it is
        seen to add something. Weights are multiples of 1/steps. Log loss sees every claim, so it chooses more calmly
        than average precision.
        """
        logits = np.stack([part.logits(validation.columns) for part in parts.values()])
        tried = {
            shares: calibrated_losses(np.array(shares) @ logits, validation.labels)
            for shares in _shares(params, len(parts))
        }
        lowest = min(tried.values(), key=lambda losses: float(losses.mean()))
        best = next(shares for shares, losses in tried.items() if _is_as_good(losses, lowest))
        said = ", ".join(f"{share:.2f} {name}" for name, share in zip(parts, best, strict=True))
        progress(f"{said}: validation log loss {tried[best].mean():.4f}, lowest {lowest.mean():.4f}")
        return cls(inputs, parts, np.array(best, np.float32))

    def refit(self, inputs: Inputs, train: Examples, *, progress: Progress, checkpoint: Checkpoint = NOWHERE) -> Self:
        """Refit the parts; their weights stay."""
        parts = {
            name: part.refit(inputs, train, progress=progress, checkpoint=checkpoint.part(name))
            for name, part in self.parts.items()
        }
        return type(self)(inputs, parts, self.shares)

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return answer_graph(self.graph, columns)

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield "shares", self.shares
        for name, part in self.parts.items():
            for learned, weight in part.weights():
                yield f"{name}/{learned}", weight

    def export(self, folder: Path, calibration: Calibration) -> None:
        export_graph(self.graph, folder, self.inputs, calibration)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        return open_graph(folder, inputs)


def _shares(params: BlendParams, parts: int) -> list[tuple[float, ...]]:
    """Return every way to deal `steps` equal shares to the parts, the first part's most first."""
    dealt = product(range(params.steps, -1, -1), repeat=parts)
    return [tuple(count / params.steps for count in counts) for counts in dealt if sum(counts) == params.steps]


def _is_as_good(losses: NDArray[np.float64], lowest: NDArray[np.float64]) -> bool:
    """Say whether (n_claims,) losses are above others' by no more than one standard error of the paired difference."""
    above = losses - lowest
    return bool(above.mean() <= above.std() / np.sqrt(len(above)) + 1e-9)
