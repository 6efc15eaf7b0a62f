"""The one form in which TensorFlow models are stored: raw text and numbers in, a calibrated probability out, one graph.

Whatever a claim goes through at serving is in the exported SavedModel, so nothing can be computed otherwise there. It
loads and answers without this package.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fraud_ml.errors import BadInput
from fraud_ml.models.cell_lookup import CellLookup, stack_numbers
from fraud_ml.models.cells import Cells
from fraud_ml.models.coding import decode
from fraud_ml.models.family import Calibration, Coded, Explained, Opened
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.tensorflow_runtime import number_alike, tf

SAVED_MODEL = "saved_model"
SIGNATURE = "serving_default"
REASONS = "reasons"  # raw claims to probability, base and contributions, the columns as in inputs.json
CODED = "coded"  # the signature for many claims, whose words were looked up
BATCH = 4096  # claims answered at once
EXPLAINED = 512  # claims whose reasons are told at once: a network is asked at many points for each


class Graph(Protocol):
    """What a family computes with: a tf.Module that holds everything it reads."""

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return (n,) float32 log-odds of {column: (n,) string or float32}."""

    def coded(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Return the same of (n, n_categories) int32 and (n, n_numbers) float32, see `family.Coded`."""

    def reasons(self, cells: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return base () and contributions (n, n_categories + n_numbers), which add up to the log-odds."""


def answer_graph(graph: Graph, columns: Columns) -> NDArray[np.float64]:
    """Return (n_claims,) log-odds, a batch at a time."""
    rows = len(next(iter(columns.values())))
    parts = [
        graph({name: tf.constant(values[start : start + BATCH]) for name, values in columns.items()}).numpy()
        for start in range(0, rows, BATCH)
    ]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)


def export_graph(graph: Graph, folder: Path, inputs: Inputs, calibration: Calibration) -> None:
    """Write the graph with its calibration into `folder`; `open_graph` answers as it did."""
    number_alike()
    scoring = tf.Module()
    scoring.graph = graph
    named = signature_names(inputs)

    def calibrated(logits: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": tf.sigmoid(calibration.slope * logits + calibration.intercept)}

    def answer(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        return calibrated(graph({name: given[argument] for name, argument in named.items()}))

    def answer_coded(cells: tf.Tensor, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return calibrated(graph.coded(cells, numbers))

    scoring.lookup = CellLookup(inputs, Cells.of(inputs))
    internal = [column.name for column in (*inputs.categories, *inputs.numbers)]
    order = [internal.index(name) for name in inputs.names]

    def explain(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = {name: given[argument] for name, argument in named.items()}
        numbers = stack_numbers(columns, [column.name for column in inputs.numbers])
        base, contributions = graph.reasons(scoring.lookup(columns), numbers)
        return {
            **calibrated(graph(columns)),
            "base": calibration.slope * base + calibration.intercept,
            "contributions": calibration.slope * tf.gather(contributions, order, axis=1),
        }

    kinds = {column.name: tf.string if column.is_category else tf.float32 for column in inputs.columns}
    taken = {argument: tf.TensorSpec([None], kinds[name], name=argument) for name, argument in named.items()}
    coded = (
        tf.TensorSpec([None, len(inputs.categories)], tf.int32, name="cells"),
        tf.TensorSpec([None, len(inputs.numbers)], tf.float32, name="numbers"),
    )
    signatures = {
        SIGNATURE: tf.function(answer).get_concrete_function(**taken),
        CODED: tf.function(answer_coded).get_concrete_function(*coded),
        REASONS: tf.function(explain).get_concrete_function(**taken),
    }
    tf.saved_model.save(scoring, str(folder / SAVED_MODEL), signatures=signatures)
    # optional, and with a random id the only part whose bytes differ between equal runs; the manifest says more
    (folder / SAVED_MODEL / "fingerprint.pb").unlink(missing_ok=True)


def open_graph(folder: Path, inputs: Inputs) -> Opened:
    """Return the exported graph, loaded."""
    loaded = tf.saved_model.load(str(folder / SAVED_MODEL))
    signature, named = loaded.signatures[SIGNATURE], signature_names(inputs)
    if CODED in loaded.signatures:
        by_code, why = loaded.signatures[CODED], loaded.signatures[REASONS]

    def batches(columns: Columns, size: int = BATCH) -> Iterator[dict[str, tf.Tensor]]:
        for start in range(0, len(columns[inputs.names[0]]), size):
            yield {arg: tf.constant(columns[name][start : start + size]) for name, arg in named.items()}

    def explain(columns: Columns) -> Explained:
        parts = [why(**batch) for batch in batches(columns, EXPLAINED)]
        contributions = np.concatenate([part["contributions"].numpy() for part in parts]).astype(np.float64)
        return Explained(float(parts[0]["base"]), contributions)

    def answer(columns: Columns) -> NDArray[np.float64]:
        parts = [signature(**batch) for batch in batches(columns)]
        return np.concatenate([part["probability"].numpy() for part in parts]).astype(np.float64)

    def answer_coded(claims: Coded) -> NDArray[np.float64]:
        found = np.empty(len(claims))  # a batch has one size always: the compiler makes one program
        for start in range(0, len(claims), BATCH):
            part = slice(start, start + BATCH)
            cells, numbers = claims.cells[part], claims.numbers[part]
            lacking = (0, BATCH - len(cells)), (0, 0)
            probability = by_code(
                cells=tf.constant(np.pad(cells, lacking)), numbers=tf.constant(np.pad(numbers, lacking))
            )["probability"]
            found[part] = probability.numpy()[: len(cells)]
        return found

    answer.keeps = loaded  # type: ignore[attr-defined]  # a signature alone does not keep its variables alive
    if CODED not in loaded.signatures:
        return Opened(answer, lambda claims: answer(decode(claims, inputs)), _without_reasons)
    return Opened(answer, answer_coded, explain)


def _without_reasons(columns: Columns) -> Explained:  # noqa: ARG001 - as its peers
    raise BadInput("this model was exported by earlier code and gives no reasons", next_step="train it again")


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
