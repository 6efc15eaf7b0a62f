"""Small Keras networks, averaged, over embedded categories, scaled numbers and screened pairs of categories."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.calibrate import calibrated_losses
from fraud_ml.models.cells import Cells
from fraud_ml.models.centre import Centre
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.crosses import screen_crosses
from fraud_ml.models.devices import Devices
from fraud_ml.models.encoder import Encoded, Encoder
from fraud_ml.models.epochs import Epochs
from fraud_ml.models.family import Calibration, Examples, Opened, Progress, require_finite
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.integrated_gradients import integrated_gradients
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.saved_model import BATCH, export_graph, open_graph
from fraud_ml.models.tensorflow_runtime import make_deterministic, tf
from fraud_ml.params import KerasTabularParams


class _Graph(tf.Module):
    """Encoder and networks as one. Implements `saved_model.Graph`."""

    def __init__(self, encoder: Encoder, networks: PackedNetworks, centre: Centre) -> None:
        super().__init__()
        self.encoder, self.networks, self.centre = encoder, networks, centre

    def reasons(self, cells: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return integrated_gradients(self.networks, self.encoder.coded(cells, numbers), self.centre)

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.networks(self.encoder(columns), training=False)

    def coded(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        return self.networks(self.encoder.coded(cells, numbers), training=False)


class KerasTabular:
    """A fitted bag of networks. Implements `family.Family`."""

    is_drawn = True

    def __init__(self, inputs: Inputs, train: Examples, params: KerasTabularParams, seed: int) -> None:
        """Everything but the epochs: pairs are screened, and the networks stand at their random start."""
        make_deterministic(seed)
        self.inputs, self.params, self.seed, self.epochs = inputs, params, seed, 0
        self.cells = Cells.of(inputs)
        self.encoder = Encoder(inputs, self.cells)
        plain = _encode(self.encoder, train.columns)
        ids, numbers = plain.cells.numpy(), plain.numbers.numpy()
        self.encoder.crosses = screen_crosses(ids, numbers, train.labels, self.cells, count=params.crosses)
        self.centre = Centre.of(ids, numbers, self.encoder.crosses, self.cells)
        share = float(train.labels.mean())
        self.devices = Devices.visible(params)
        prior = float(np.log(share / (1 - share)))
        with self.devices.strategy.scope():
            self.networks = PackedNetworks(len(self.cells), prior, params, self.devices.precision)
        self.graph = _Graph(self.encoder, self.networks, self.centre)

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
        checkpoint: Checkpoint = NOWHERE,
    ) -> Self:
        """Stop when `validation`'s log loss has not fallen for `patience` epochs; keep the best weights.

        It is taken after calibration, which follows anyway: log-odds that are all too high must not say when to stop.
        """
        model = cls(inputs, train, params, seed)
        later = _encode(model.encoder, validation.columns)
        epochs = model._epochs(train)
        best, kept = np.inf, model.networks.get_weights()
        if standing := checkpoint.load():
            epochs.go_on_from(standing)
            best, model.epochs = float(standing["best"]), int(standing["best_epoch"])
            kept = [standing[f"kept/{place}"] for place in range(len(kept))]
            progress(f"going on from epoch {epochs.done} of a checkpoint")
        while epochs.done < min(params.max_epochs, model.epochs + params.patience):
            epochs.run()
            answered = require_finite("keras_tabular", _answer(model.networks, later))
            loss = float(calibrated_losses(answered, validation.labels).mean())
            if loss < best:
                best, kept, model.epochs = loss, model.networks.get_weights(), epochs.done
            held = {f"kept/{place}": weight for place, weight in enumerate(kept)}
            checkpoint.save({**epochs.state(), **held, "best": np.array(best), "best_epoch": np.array(model.epochs)})
            told = " (best)" if model.epochs == epochs.done else ""
            progress(f"epoch {epochs.done}/{params.max_epochs}: validation log loss {loss:.4f}{told}")
        model.networks.set_weights(kept)
        model._learned(train)
        return model

    def refit(self, inputs: Inputs, train: Examples, *, progress: Progress, checkpoint: Checkpoint = NOWHERE) -> Self:
        model = type(self)(inputs, train, self.params, self.seed)
        epochs = model._epochs(train)
        if standing := checkpoint.load():
            epochs.go_on_from(standing)
            progress(f"going on from epoch {epochs.done} of a checkpoint")
        while epochs.done < self.epochs:
            epochs.run()
            checkpoint.save(epochs.state())
        model.epochs = self.epochs
        progress(f"{self.epochs} epochs again")
        model._learned(train)
        return model

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return _answer(self.networks, _encode(self.encoder, columns))

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield "crosses", self.encoder.crosses
        yield from self.centre.weights()
        for position, weight in enumerate(self.networks.get_weights()):
            yield f"networks/{position}", weight

    def export(self, folder: Path, calibration: Calibration) -> None:
        export_graph(self.graph, folder, self.inputs, calibration)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        return open_graph(folder, inputs)

    def _epochs(self, train: Examples) -> Epochs:
        claims = _encode(self.encoder, train.columns)
        return Epochs(self.networks, claims, train.labels, self.params, self.seed, self.devices)

    def _learned(self, train: Examples) -> None:
        """From now on nothing is learned: what the networks answer is what will be served."""
        self.networks.compute_exactly()
        self._forget_what_was_never_seen(train)

    def _forget_what_was_never_seen(self, train: Examples) -> None:
        """A cell without any training row still has its random start; give it its column's average row instead."""
        if not len(self.cells):
            return
        cell_ids = _encode(self.encoder, train.columns).cells.numpy()
        rows = self.networks.embedding.get_weights()[0]
        seen = np.bincount(cell_ids.ravel(), minlength=len(self.cells))
        for column in range(cell_ids.shape[1]):
            own = self.cells.column == column
            average = (rows[own] * seen[own, None]).sum(axis=0) / seen[own].sum()
            rows[own & (seen == 0)] = average.astype(np.float32)
        self.networks.embedding.set_weights([rows])


def _encode(encoder: Encoder, columns: Columns) -> Encoded:
    return encoder({name: tf.constant(values) for name, values in columns.items()})


def _answer(networks: PackedNetworks, claims: Encoded) -> NDArray[np.float64]:
    parts = [
        networks(Encoded(*(part[start : start + BATCH] for part in claims))).numpy()
        for start in range(0, len(claims.cells), BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)
