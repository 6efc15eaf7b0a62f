"""Whether training gives the same bits, how its time grows with the claims, and what it costs beside Keras's `fit`.

Claims are those that a simulated motor insurer investigated, drawn again and again where more are asked for. Each
training is a process of its own.

- `bit_equal_runs`: of 10 trainings as params.yaml describes them (blend, calibration, refit, export), in other folders,
  with other hash seeds and from one to four threads, how many give the first one's digest of all weights.
- `time_exponent`: the slope of log seconds over log claims from 100,000 to 3 million, for one fit of the blend with
  fixed work a claim (2 epochs, 10 trees a member); 1 is proportional. Encoding and screening are in it.
- `rows_per_s`: claims a second in the largest of those fits.
- `peak_gib`: the largest resident memory of that process, which holds its claims as columns in memory.
- `over_keras_fit`: claims a second in the bag's own epochs, over those of Keras's `fit` training the bag's networks one
  by one (same layers, optimizer and batches, claims encoded already, graphs traced before), in turns.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._quality_rounds import motor
from benchmarks.harness import Figure, Figures, in_own_process, in_turns, peak_gib, say
from fraud_ml.models import export_model, fit_family
from fraud_ml.models.cells import Cells
from fraud_ml.models.encoder import Encoded
from fraud_ml.models.epochs import WEIGHT_DECAY, Epochs
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import Inputs, describe_inputs
from fraud_ml.models.keras_tabular import KerasTabular
from fraud_ml.models.tensorflow_runtime import keras, tf
from fraud_ml.params import KerasTabularParams, TrainingParams, load_params
from fraud_ml.settings import PROJECT
from fraud_ml.training.learn import learn

SIMULATED, QUICK_SIMULATED = 60_000, 20_000
SIZES, QUICK_SIZES = (100_000, 300_000, 1_000_000, 3_000_000), (5_000, 20_000)
RUNS, QUICK_RUNS = 10, 2
PEER_ROWS, QUICK_PEER_ROWS = 30_000, 2_000
EPOCHS, TREES = 2, 10


def run(*, quick: bool) -> Figures:
    """Measure in processes of their own, in temporary folders."""
    simulated = QUICK_SIMULATED if quick else SIMULATED
    digests = []
    for number in range(QUICK_RUNS if quick else RUNS):
        digests.append(_alone("digest", QUICK_SIMULATED, number=number)["digest"])
        say(f"training {number + 1}: {digests[-1][:12]}")
    fits = []
    for rows in QUICK_SIZES if quick else SIZES:
        fits.append(_alone("fit", simulated, rows))
        say(f"{rows:,} claims: {fits[-1]}")
    sizes, seconds = (np.array([fit[what] for fit in fits], float) for what in ("rows", "seconds"))
    turns = _alone("turns", simulated, QUICK_PEER_ROWS if quick else PEER_ROWS, 1 if quick else 3)
    say(f"in turns {turns}")
    peer = [fit / ours for ours, fit in zip(turns["bag"], turns["keras_fit"], strict=True)]
    return {
        "bit_equal_runs": Figure(digests.count(digests[0]), "runs", note=f"of {len(digests)}"),
        "time_exponent": Figure(
            round(float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), 3),
            "exponent",
            note="; ".join(f"{rows:,.0f}: {taken:.0f} s" for rows, taken in zip(sizes, seconds, strict=True)),
        ),
        "rows_per_s": Figure(round(sizes[-1] / seconds[-1]), "rows/s", note="one fit of the blend, fixed work a claim"),
        "peak_gib": Figure(round(fits[-1]["peak_gib"], 2), "GiB", note=f"{sizes[-1]:,.0f} claims, resident"),
        "over_keras_fit": Figure.median_of(peer, "ratio", peer="Keras's fit, network by network"),
    }


def _digest(simulated: int) -> dict[str, Any]:
    """Train as the train stage does, and return the digest of the exported model's weights."""
    task = motor(7, simulated)
    claims = task.rounds[0]
    params = load_params(PROJECT / "params.yaml").training
    chosen, trained = learn(claims.first, claims.validation, task.features, params, lambda _: None)
    model = trained[chosen]
    with tempfile.TemporaryDirectory() as folder:
        manifest = export_model(Path(folder), chosen, model.model, model.inputs, model.calibration)
    return {"digest": manifest.model_digest}


def _fit(simulated: int, rows: int) -> dict[str, Any]:
    inputs, train, validation = _examples(simulated, rows)
    begin = time.perf_counter()
    fit_family("blend", inputs, train, validation, _fixed_work(), progress=lambda _: None, fitted={})
    return {"rows": rows, "seconds": time.perf_counter() - begin, "peak_gib": peak_gib()}


def _fixed_work() -> TrainingParams:
    params = load_params(PROJECT / "params.yaml").training
    networks = params.keras_tabular.model_copy(update={"max_epochs": EPOCHS, "patience": EPOCHS})
    trees = params.boosted_trees.model_copy(update={"trees": TREES})
    return params.model_copy(update={"keras_tabular": networks, "boosted_trees": trees})


def _turns(simulated: int, rows: int, turns: int) -> dict[str, list[float]]:
    """Return the seconds of an epoch of the bag, and of one epoch of each of its networks by Keras's `fit`."""
    inputs, train, _ = _examples(simulated, rows)
    params = load_params(PROJECT / "params.yaml").training.keras_tabular
    bag = KerasTabular(inputs, train, params, seed=7)
    claims = bag.encoder({name: tf.constant(values) for name, values in train.columns.items()})
    epochs = Epochs(bag.networks, claims, train.labels, params, 7, bag.devices)
    given = {name: part.numpy() for name, part in claims._asdict().items()}
    alone = [_network(claims, len(Cells.of(inputs)), params) for _ in range(params.members)]

    def fit() -> None:
        for network in alone:
            network.fit(given, train.labels, batch_size=params.batch_size, epochs=1, verbose=0)

    epochs.run()
    fit()  # both have traced their graphs
    return in_turns(turns, bag=epochs.run, keras_fit=fit)


def _network(claims: Encoded, n_cells: int, params: KerasTabularParams) -> Any:
    """Return one member as people write it in Keras, compiled in the way that is quicker on processors."""
    taken = {
        name: keras.Input((part.shape[1],), name=name, dtype="int32" if name == "cells" else "float32")
        for name, part in claims._asdict().items()
    }
    embedded = keras.layers.Flatten()(keras.layers.Embedding(n_cells, params.embedding_size)(taken["cells"]))
    values = keras.layers.Concatenate()([embedded, taken["numbers"], taken["crosses"]])
    for units in params.hidden_units:
        values = keras.layers.Dropout(params.dropout)(keras.layers.Dense(units, activation="relu")(values))
    network = keras.Model(taken, keras.layers.Dense(1)(values))
    network.compile(
        keras.optimizers.AdamW(params.learning_rate, weight_decay=WEIGHT_DECAY),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return network


def _examples(simulated: int, rows: int) -> tuple[Inputs, Examples, Examples]:
    """Return what models take, `rows` claims drawn with replacement to learn from, and later ones."""
    task = motor(7, simulated)
    claims = task.rounds[0]
    inputs = describe_inputs(claims.first, task.features)
    known = Examples.of(claims.first, inputs)
    drawn = np.random.default_rng(7).integers(len(known.labels), size=rows)
    train = Examples({name: values[drawn] for name, values in known.columns.items()}, known.labels[drawn])
    return inputs, train, Examples.of(claims.validation, inputs)


# --- processes of their own -----------------------------------------------------------------------------------------


def _alone(act: str, *numbers: int, number: int = 0) -> Any:
    """Run this module as a process in an empty folder; its threads and hash seed depend on `number`."""
    disturbed = (
        {"PYTHONHASHSEED": str(number), "TF_NUM_INTRAOP_THREADS": str(1 + number % 4)} if act == "digest" else {}
    )
    with tempfile.TemporaryDirectory(prefix="fraud-ml-bench.") as folder:
        return in_own_process("benchmarks.training", act, *numbers, folder=Path(folder), environment=disturbed)


if __name__ == "__main__":
    ACTS: dict[str, Callable[..., dict[str, Any]]] = {"digest": _digest, "fit": _fit, "turns": _turns}
    print(json.dumps(ACTS[sys.argv[1]](*map(int, sys.argv[2:]))))
