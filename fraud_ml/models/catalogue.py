"""The model families, one row each, and how their exported models are written, proven and loaded."""

import importlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import ModelManifest, load, save
from fraud_ml.errors import BadInput, FraudMLError, Tampered
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.coding import Coder
from fraud_ml.models.family import Calibration, Examples, Family, Opened, Progress
from fraud_ml.models.golden import load_golden, require_golden, sample_golden, save_golden
from fraud_ml.models.inputs import Inputs, read_columns
from fraud_ml.models.manifest import MANIFEST_FILE, describe_model, require_same_files
from fraud_ml.models.reasons import Reasons, readable
from fraud_ml.params import BlendParams, TrainingParams

if TYPE_CHECKING:
    import pandas as pd

FAMILIES = {
    "blend": "fraud_ml.models.blend:Blend",
    "boosted_trees": "fraud_ml.models.boosted_trees:BoostedTrees",
    "keras_tabular": "fraud_ml.models.keras_tabular:KerasTabular",
    "logistic": "fraud_ml.models.logistic:Logistic",
    "random_forest": "fraud_ml.models.random_forest:RandomForest",
}
INPUTS_FILE = "inputs.json"


@dataclass(frozen=True)
class Predictor:
    """A loaded model. Its bytes were compared with its manifest before they were loaded."""

    manifest: ModelManifest
    inputs: Inputs = field(repr=False)
    opened: Opened = field(repr=False)

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Return (n_claims,) probabilities of fraud in [0, 1]. Raises BadInput naming the column that does not fit."""
        columns = read_columns(frame, self.inputs)
        return self.opened.answer(columns) if len(frame) else np.zeros(0)

    def reasons(self, frame: "pd.DataFrame", most: int) -> list[list[str]]:
        """Return for each claim what speaks for fraud, the heaviest first, in words that tell none of its values."""
        words = Reasons([readable(name) for name in self.inputs.names])
        return words.words(self.opened.explain(read_columns(frame, self.inputs)), most)


def fit_family(
    name: str,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    params: TrainingParams,
    *,
    progress: Progress,
    fitted: MutableMapping[str, Family],
    checkpoint: Checkpoint = NOWHERE,
) -> Family:
    """Return the family fitted to these examples, from `fitted` where it stands there; afterwards it does.

    `fitted` holds models of the same examples and params: a blend's parts are fitted once, whoever else wants them.
    Each family that learns keeps its own part of `checkpoint`, which belongs to the same examples and params too.
    """
    if name not in fitted:
        knobs, family, kept = getattr(params, name), family_named(name), checkpoint.part(name)
        if isinstance(knobs, BlendParams):
            parts = {}
            for part in knobs.families:
                tell = partial(_tell_of, part, progress)
                parts[part] = fit_family(
                    part, inputs, train, validation, params, progress=tell, fitted=fitted, checkpoint=checkpoint
                )
            fitted[name] = family.join(inputs, parts, validation, knobs, progress=progress)
        else:
            fitted[name] = family.fit(
                inputs, train, validation, knobs, seed=params.seed, progress=progress, checkpoint=kept
            )
    return fitted[name]


def _tell_of(name: str, progress: Progress, line: str) -> None:
    progress(f"{name}: {line}")


def family_named(name: str) -> Any:
    """Return the family's class, a Learner or the Blend. Raises BadInput for a name that has no row in FAMILIES."""
    if name not in FAMILIES:
        raise BadInput(
            f"unknown model family `{name}`", expected=f"one of {', '.join(FAMILIES)}", next_step="correct its name"
        )
    module, attribute = FAMILIES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def export_model(folder: Path, name: str, model: Family, inputs: Inputs, calibration: Calibration) -> ModelManifest:
    """Write a fitted model into the empty `folder`; afterwards `load_model` and `verify_model` accept it.

    The golden predictions come from the exported copy, loaded again: what is recorded is what will be served.
    """
    save(inputs, folder / INPUTS_FILE)
    model.export(folder, calibration)
    claims = sample_golden(inputs)
    predictions = type(model).open(folder, inputs).answer(claims)
    save_golden(folder, claims, predictions)
    calibrated = [*model.weights(), ("calibration", np.array([calibration.slope, calibration.intercept]))]
    return describe_model(folder, name, inputs, calibrated, predictions)


def load_model(folder: Path) -> Predictor:
    """Return the exported model in `folder`, once its files are those of its own model.json.

    Raises Tampered naming the file that differs, BadInput when the family is unknown or the model cannot be loaded.
    Whoever knows which model it must be calls `verify_model` instead.
    """
    manifest = load(ModelManifest, folder / MANIFEST_FILE)
    family = family_named(manifest.family)
    require_same_files(folder, manifest)
    with _usable(folder, manifest):
        inputs = load(Inputs, folder / INPUTS_FILE)
        return Predictor(manifest, inputs, family.open(folder, inputs))


def verify_model(folder: Path, manifest: ModelManifest) -> Predictor:
    """Return the model in `folder`, proven to be the one that `manifest` describes.

    Every file is hashed before anything is loaded, and a file that is not listed is refused; then the loaded model must
    answer its golden claims as it did when it was exported. Raises Tampered naming the file.
    """
    require_same_files(folder, manifest)
    if load(ModelManifest, folder / MANIFEST_FILE) != manifest:
        path = folder / MANIFEST_FILE
        raise Tampered(f"{path}: not the manifest that was recorded", next_step="fetch it again", path=str(path))
    predictor = load_model(folder)
    with _usable(folder, manifest):
        claims, predictions = load_golden(folder, predictor.inputs)
        require_golden(folder, predictor.opened.answer(claims), predictions)
        require_golden(folder, predictor.opened.answer_coded(Coder(predictor.inputs).code(claims)), predictions)
    return predictor


@contextmanager
def _usable(folder: Path, manifest: ModelManifest) -> Iterator[None]:
    """Whatever a learning library raises inside, the model is of no use here: raise BadInput saying so."""
    try:
        yield
    except FraudMLError:
        raise
    except Exception as error:
        raise BadInput(
            f"{folder}: the {manifest.family} model cannot be loaded",
            arrived=type(error).__name__,
            next_step="use the library versions it was trained with, or train again",
        ) from error
