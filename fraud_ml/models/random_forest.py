"""A scikit-learn random forest over one-hot categories and filled-in numbers, stored by skops without pickle."""

import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from fraud_ml.artifacts import load, save
from fraud_ml.errors import Tampered
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.coding import decode
from fraud_ml.models.family import Calibration, Examples, Explained, Opened, Progress
from fraud_ml.models.forest_paths import ForestPaths
from fraud_ml.models.inputs import MISSING, Columns, Inputs
from fraud_ml.params import RandomForestParams

FOREST_FILE = "forest.skops"
SCHEMA = "schema.json"  # in that file: how its arrays make up the pipeline
CALIBRATION_FILE = "calibration.json"
LEAST = 1e-3  # probabilities are kept this far from 0 and 1 before log-odds are taken
TRUSTED = ("numpy.dtype", "sklearn.tree._tree.Tree")  # what skops does not trust by itself and a forest is made of


class RandomForest:
    """A fitted forest. Implements `family.Family`."""

    is_drawn = True

    def __init__(self, inputs: Inputs, train: Examples, params: RandomForestParams, seed: int) -> None:
        self.inputs, self.params, self.seed = inputs, params, seed
        self.pipeline = _pipeline(inputs, params, seed)
        self.pipeline.fit(_table(train.columns, inputs), train.labels)

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        train: Examples,
        validation: Examples,  # noqa: ARG003 - a forest needs no word about when to stop
        params: RandomForestParams,
        *,
        seed: int,
        progress: Progress,
        checkpoint: Checkpoint = NOWHERE,  # noqa: ARG003 - quicker fitted again than kept
    ) -> Self:
        model = cls(inputs, train, params, seed)
        progress(f"{params.trees} trees grown")
        return model

    def refit(
        self,
        inputs: Inputs,
        train: Examples,
        *,
        progress: Progress,  # noqa: ARG002
        checkpoint: Checkpoint = NOWHERE,  # noqa: ARG002
    ) -> Self:
        return type(self)(inputs, train, self.params, self.seed)

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return _logits(self.pipeline, columns, self.inputs)

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        numbers = self.pipeline["encode"].named_transformers_["numbers"]
        if hasattr(numbers, "statistics_"):
            yield "medians", numbers.statistics_
        for position, tree in enumerate(self.pipeline["forest"].estimators_):
            for name in ("children_left", "children_right", "feature", "threshold", "value"):
                yield f"tree/{position}/{name}", getattr(tree.tree_, name)

    def export(self, folder: Path, calibration: Calibration) -> None:
        (folder / FOREST_FILE).write_bytes(without_process(skops.io.dumps(self.pipeline)))
        save(calibration, folder / CALIBRATION_FILE)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        """Raises Tampered when the file names a type that no forest of ours is made of."""
        path = folder / FOREST_FILE
        strange = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if strange:
            raise Tampered(f"{path}: holds types that no forest is made of", arrived=strange[0], path=str(path))
        pipeline = skops.io.load(path, trusted=list(TRUSTED))
        calibration = load(Calibration, folder / CALIBRATION_FILE)

        def answer(columns: Columns) -> NDArray[np.float64]:
            logits = _logits(pipeline, columns, inputs)
            return 1 / (1 + np.exp(-(calibration.slope * logits + calibration.intercept)))

        paths = cache(lambda: ForestPaths(pipeline, inputs))

        def explain(columns: Columns) -> Explained:
            contributions = paths().contributions(_table(columns, inputs))
            # probabilities add up exactly; log-odds follow in proportion, so that they do too
            apart = contributions.sum(axis=1)
            usual, given = (np.clip(told, LEAST, 1 - LEAST) for told in (paths().base, paths().base + apart))
            steep = np.where(np.abs(apart) > 1e-9, (_log_odds(given) - _log_odds(usual)) / apart, 0.0)
            at = calibration.slope * _log_odds(usual) + calibration.intercept
            return Explained(float(at), calibration.slope * steep[:, None] * contributions)

        return Opened(answer, lambda claims: answer(decode(claims, inputs)), explain)


def without_process(dumped: bytes) -> bytes:
    """Return a skops file without what the writing process left in it: the time, and memory addresses as names.

    Equal forests then give equal bytes. Addresses are replaced by the order in which the schema first names them.
    """
    numbers: dict[bytes, bytes] = {}

    def number(found: re.Match[bytes]) -> bytes:
        name = numbers.setdefault(found[2], str(len(numbers) + 1).encode())
        return found[1] + name + found[3]

    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(dumped)) as source, zipfile.ZipFile(written, "w") as target:
        schema = re.sub(rb'("__id__": )(\d+)()', number, source.read(SCHEMA))
        schema = re.sub(rb'("file": ")(\d+)(\.\w+")', number, schema)
        members = {SCHEMA: schema}
        for name in source.namelist():
            if name != SCHEMA:
                address, suffix = name.split(".", 1)
                members[f"{numbers[address.encode()].decode()}.{suffix}"] = source.read(name)
        for name, content in sorted(members.items()):
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _pipeline(inputs: Inputs, params: RandomForestParams, seed: int) -> Pipeline:
    categories = [[*column.vocabulary, MISSING] for column in inputs.categories]
    texts = list(range(len(categories)))
    numbers = list(range(len(categories), len(inputs.columns)))
    encode = ColumnTransformer(
        [
            ("categories", OneHotEncoder(categories=categories, handle_unknown="ignore", dtype=np.float32), texts),
            ("numbers", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), numbers),
        ],
        sparse_threshold=0,
    )
    # one thread: trees add their votes as they finish, and another order gives other last bits
    forest = RandomForestClassifier(
        n_estimators=params.trees, min_samples_leaf=params.min_samples_leaf, random_state=seed, n_jobs=1
    )
    return Pipeline([("encode", encode), ("forest", forest)])


def _logits(pipeline: Pipeline, columns: Columns, inputs: Inputs) -> NDArray[np.float64]:
    return _log_odds(np.clip(pipeline.predict_proba(_table(columns, inputs))[:, 1], LEAST, 1 - LEAST))


def _log_odds(probability: Any) -> Any:
    return np.log(probability / (1 - probability))


def _table(columns: Columns, inputs: Inputs) -> NDArray[Any]:
    """Return the categories' columns, then the numbers', as one object array (n_claims, n_columns)."""
    ordered = [*inputs.categories, *inputs.numbers]
    return np.stack([columns[column.name].astype(object) for column in ordered], axis=1)
