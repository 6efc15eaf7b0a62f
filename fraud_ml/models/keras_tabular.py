"""Small Keras networks, averaged, over embedded categories, scaled numbers and screened pairs of categories."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.calibrate import log_loss
from fraud_ml.models.cells import Cells
from fraud_ml.models.crosses import screen_crosses
from fraud_ml.models.encoder import Encoded, Encoder
from fraud_ml.models.family import Calibration, Examples, Progress
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.saved_model import BATCH, export_graph, open_graph
from fraud_ml.models.tensorflow_runtime import keras, make_deterministic, tf
from fraud_ml.params import KerasTabularParams

WEIGHT_DECAY = 1e-4


class _Graph(tf.Module):
    """Encoder and networks as one. Implements `saved_model.Graph`."""

    def __init__(self, encoder: Encoder, networks: PackedNetworks) -> None:
        super().__init__()
        self.encoder, self.networks = encoder, networks

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.networks(self.encoder(columns), training=False)


class KerasTabular:
    """A fitted bag of networks. Implements `family.Family`."""

    is_drawn = True

    def __init__(self, inputs: Inputs, encoder: Encoder, networks: PackedNetworks) -> None:
        self.inputs, self.encoder, self.networks = inputs, encoder, networks
        self.graph = _Graph(encoder, networks)

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        train: Examples,
        validation: Examples,
        params: KerasTabularParams,
        *,
        seed: int,
        progress: Progress,
    ) -> Self:
        """Stop when the log loss of `validation` has not fallen for `patience` epochs, and keep the best weights."""
        make_deterministic(seed)
        cells = Cells.of(inputs)
        encoder = Encoder(inputs, cells)
        plain = _encode(encoder, train.columns)
        labels = train.labels
        encoder.crosses = screen_crosses(
            plain.cells.numpy(), plain.numbers.numpy(), labels, cells, count=params.crosses
        )
        share = float(labels.mean())
        networks = PackedNetworks(len(cells), float(np.log(share / (1 - share))), params)
        model = cls(inputs, encoder, networks)
        model._run_epochs(train, validation, params, seed, progress)
        _forget_what_was_never_seen(networks, cells, plain.cells.numpy())
        return model

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return _answer(self.networks, _encode(self.encoder, columns))

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield "crosses", self.encoder.crosses
        for position, weight in enumerate(self.networks.get_weights()):
            yield f"networks/{position}", weight

    def export(self, folder: Path, calibration: Calibration) -> None:
        export_graph(self.graph, folder, self.inputs, calibration)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Callable[[Columns], NDArray[np.float64]]:
        return open_graph(folder, inputs)

    def _run_epochs(
        self, train: Examples, validation: Examples, params: KerasTabularParams, seed: int, progress: Progress
    ) -> None:
        """Train the networks; afterwards they hold the weights of the epoch with the lowest validation log loss."""
        networks = self.networks
        claims, later = _encode(self.encoder, train.columns), _encode(self.encoder, validation.columns)
        networks(Encoded(*(part[:1] for part in claims)))  # makes the variables
        labels = tf.constant(train.labels.astype(np.float32))
        size = min(params.batch_size, len(train.labels))
        variables = networks.trainable_variables
        optimizer = keras.optimizers.AdamW(params.learning_rate, weight_decay=WEIGHT_DECAY)
        optimizer.build(variables)

        @tf.function
        def epoch(order: tf.Tensor) -> None:
            for batch in tf.range(len(train.labels) // size):
                rows = order[batch * size : (batch + 1) * size]
                with tf.GradientTape() as tape:
                    picked = Encoded(*(tf.gather(part, rows) for part in claims))
                    logits = networks.member_logits(picked, training=True)
                    truth = tf.broadcast_to(tf.gather(labels, rows), tf.shape(logits))
                    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=logits))
                optimizer.apply(tape.gradient(loss, variables), variables)

        rng = np.random.default_rng(seed)
        best, kept, waited = np.inf, networks.get_weights(), 0
        for number in range(1, params.max_epochs + 1):
            epoch(tf.constant(rng.permutation(len(train.labels))))
            loss = log_loss(_answer(networks, later), validation.labels)
            if loss < best:
                best, kept, waited = loss, networks.get_weights(), 0
            else:
                waited += 1
            progress(f"epoch {number}/{params.max_epochs}: validation log loss {loss:.4f}{'' if waited else ' (best)'}")
            if waited >= params.patience:
                break
        networks.set_weights(kept)


def _encode(encoder: Encoder, columns: Columns) -> Encoded:
    return encoder({name: tf.constant(values) for name, values in columns.items()})


def _answer(networks: PackedNetworks, claims: Encoded) -> NDArray[np.float64]:
    parts = [
        networks(Encoded(*(part[start : start + BATCH] for part in claims))).numpy()
        for start in range(0, len(claims.cells), BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def _forget_what_was_never_seen(networks: PackedNetworks, cells: Cells, cell_ids: NDArray[np.int32]) -> None:
    """A cell without any training row still has its random start; give it its column's average row instead."""
    if not len(cells):
        return
    rows = networks.embedding.get_weights()[0]
    seen = np.bincount(cell_ids.ravel(), minlength=len(cells))
    for column in range(cell_ids.shape[1]):
        own = cells.column == column
        average = (rows[own] * seen[own, None]).sum(axis=0) / seen[own].sum()
        rows[own & (seen == 0)] = average.astype(np.float32)
    networks.embedding.set_weights([rows])
