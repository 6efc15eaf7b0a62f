"""Small Keras networks, averaged: raw text and numbers in, a calibrated probability out, in one TensorFlow graph.

Whatever a claim goes through at serving is in the exported SavedModel, so nothing can be computed otherwise there. It
loads and answers without this package.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cells import Cells
from fraud_ml.models.crosses import screen_crosses
from fraud_ml.models.encoder import Encoded, Encoder
from fraud_ml.models.family import Calibration, Examples, Progress
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.tensorflow_runtime import keras, make_deterministic, tf
from fraud_ml.params import KerasTabularParams

SAVED_MODEL = "saved_model"
SIGNATURE = "serving_default"
BATCH = 4096  # claims answered at once
WEIGHT_DECAY = 1e-4


class KerasTabular:
    """A fitted bag of networks. Implements `family.Family`."""

    def __init__(self, inputs: Inputs, encoder: Encoder, networks: PackedNetworks) -> None:
        self.inputs, self.encoder, self.networks = inputs, encoder, networks

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
        scoring = tf.Module()
        scoring.encoder, scoring.networks = self.encoder, self.networks

        named = signature_names(self.inputs)

        def answer(**given: tf.Tensor) -> dict[str, tf.Tensor]:
            columns = {name: given[argument] for name, argument in named.items()}
            logits = self.networks(self.encoder(columns), training=False)
            return {"probability": tf.sigmoid(calibration.slope * logits + calibration.intercept)}

        kinds = {column.name: tf.string if column.is_category else tf.float32 for column in self.inputs.columns}
        taken = {argument: tf.TensorSpec([None], kinds[name], name=argument) for name, argument in named.items()}
        signature = tf.function(answer).get_concrete_function(**taken)
        tf.saved_model.save(scoring, str(folder / SAVED_MODEL), signatures={SIGNATURE: signature})
        # optional, and with a random id the only part whose bytes differ between equal runs; the manifest says more
        (folder / SAVED_MODEL / "fingerprint.pb").unlink(missing_ok=True)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Callable[[Columns], NDArray[np.float64]]:
        loaded = tf.saved_model.load(str(folder / SAVED_MODEL))
        signature, named = loaded.signatures[SIGNATURE], signature_names(inputs)

        def answer(columns: Columns) -> NDArray[np.float64]:
            rows = len(columns[inputs.names[0]])
            parts = [
                signature(**{arg: tf.constant(columns[name][start : start + BATCH]) for name, arg in named.items()})
                for start in range(0, rows, BATCH)
            ]
            return np.concatenate([part["probability"].numpy() for part in parts]).astype(np.float64)

        answer.keeps = loaded  # type: ignore[attr-defined]  # a signature alone does not keep its variables alive
        return answer

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
            loss = _log_loss(validation.labels, _answer(networks, later))
            if loss < best:
                best, kept, waited = loss, networks.get_weights(), 0
            else:
                waited += 1
            progress(f"epoch {number}/{params.max_epochs}: validation log loss {loss:.4f}{'' if waited else ' (best)'}")
            if waited >= params.patience:
                break
        networks.set_weights(kept)


def signature_names(inputs: Inputs) -> dict[str, str]:
    """Return the signature's argument for each column: its own name, made a word where it is none, and told apart.

    TensorFlow takes only words as arguments, and would rename `claim amount` by itself.
    """
    named: dict[str, str] = {}
    for name in inputs.names:
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        word = word if word[:1].isalpha() else f"column_{word}"
        taken = set(named.values())
        named[name] = next(w for w in (word, *(f"{word}_{n}" for n in range(2, len(taken) + 3))) if w not in taken)
    return named


def _encode(encoder: Encoder, columns: Columns) -> Encoded:
    return encoder({name: tf.constant(values) for name, values in columns.items()})


def _answer(networks: PackedNetworks, claims: Encoded) -> NDArray[np.float64]:
    parts = [
        networks(Encoded(*(part[start : start + BATCH] for part in claims))).numpy()
        for start in range(0, len(claims.cells), BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def _log_loss(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


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
