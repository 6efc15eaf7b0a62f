"""Logistic regression: the floor that every other family must reach, and a model that people can read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.additive import fit_additive
from fraud_ml.models.cells import Cells
from fraud_ml.models.centre import Centre
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.encoder import Encoded, Encoder
from fraud_ml.models.family import Calibration, Examples, Opened, Progress
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.saved_model import answer_graph, export_graph, open_graph
from fraud_ml.models.tensorflow_runtime import make_deterministic, tf
from fraud_ml.params import LogisticParams


class AdditiveGraph(tf.Module):
    """The encoder and a weight for each cell and number. Implements `saved_model.Graph`."""

    def __init__(self, encoder: Encoder, weights: NDArray[np.float64], centre: Centre) -> None:
        super().__init__()
        self.encoder, self.centre = encoder, centre
        cells = len(encoder.cells)
        self.intercept = tf.Variable(np.float32(weights[0]), trainable=False)
        self.of_cells = tf.Variable(weights[1 : 1 + cells].astype(np.float32), trainable=False)
        self.of_numbers = tf.Variable(weights[1 + cells :].astype(np.float32), trainable=False)

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self._logits(self.encoder(columns))

    def coded(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        return self._logits(self.encoder.coded(cells, numbers))

    def reasons(self, cells: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The weights themselves, each column's against its average."""
        claims, centre = self.encoder.coded(cells, numbers), self.centre
        usual_words = tf.linalg.matvec(centre.words, self.of_cells)
        usual_numbers = centre.numbers * self.of_numbers
        words = tf.gather(self.of_cells, claims.cells) - usual_words
        scaled, missing = tf.split(claims.numbers * self.of_numbers - usual_numbers, 2, axis=1)
        base = self.intercept + tf.reduce_sum(usual_words) + tf.reduce_sum(usual_numbers)
        return base, tf.concat([words, scaled + missing], axis=1)

    def _logits(self, claims: Encoded) -> tf.Tensor:
        words = tf.reduce_sum(tf.gather(self.of_cells, claims.cells), axis=1)
        return self.intercept + words + tf.linalg.matvec(claims.numbers, self.of_numbers)


class Logistic:
    """A fitted additive model. Implements `family.Family`; nothing in it is drawn."""

    is_drawn = False

    def __init__(self, inputs: Inputs, train: Examples, params: LogisticParams) -> None:
        make_deterministic(0)
        self.inputs, self.params = inputs, params
        cells = Cells.of(inputs)
        encoder = Encoder(inputs, cells)
        claims = encoder({name: tf.constant(values) for name, values in train.columns.items()})
        ids, numbers = claims.cells.numpy(), claims.numbers.numpy()
        self.learned = fit_additive(ids, numbers, train.labels, len(cells), ridge=params.ridge)
        self.centre = Centre.of(ids, numbers, encoder.crosses, cells)
        self.graph = AdditiveGraph(encoder, self.learned, self.centre)

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        train: Examples,
        validation: Examples,  # noqa: ARG003 - ends where the penalised likelihood is highest
        params: LogisticParams,
        *,
        seed: int,  # noqa: ARG003
        progress: Progress,
        checkpoint: Checkpoint = NOWHERE,  # noqa: ARG003 - quicker fitted again than kept
    ) -> Self:
        model = cls(inputs, train, params)
        progress(f"{np.count_nonzero(model.learned)} weights")
        return model

    def refit(
        self,
        inputs: Inputs,
        train: Examples,
        *,
        progress: Progress,  # noqa: ARG002
        checkpoint: Checkpoint = NOWHERE,  # noqa: ARG002
    ) -> Self:
        return type(self)(inputs, train, self.params)

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return answer_graph(self.graph, columns)

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield "weights", self.learned
        yield from self.centre.weights()

    def export(self, folder: Path, calibration: Calibration) -> None:
        export_graph(self.graph, folder, self.inputs, calibration)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        return open_graph(folder, inputs)
