"""The peers: each learns from the same claims as our models, with settings that were chosen on training periods only.

A peer takes claims as `read_columns` reads them and gives (n_claims,) log-odds. One thread each, as ours.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks._quality_settings import Settings
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import Columns, Inputs

Answer = Callable[[Columns], NDArray[np.float64]]
Fit = Callable[[Inputs, Examples, int], Answer]
LEAST = 1e-6


def lightgbm(settings: Settings) -> Fit:
    def fit(inputs: Inputs, train: Examples, seed: int) -> Answer:
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(
            **settings,
            random_state=seed,
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
        )
        categories = list(range(len(inputs.categories)))
        model.fit(codes(train.columns, inputs), train.labels, categorical_feature=categories)
        return lambda columns: np.asarray(model.predict(codes(columns, inputs), raw_score=True))

    return fit


def xgboost(settings: Settings) -> Fit:
    def fit(inputs: Inputs, train: Examples, seed: int) -> Answer:
        from xgboost import XGBClassifier

        model = XGBClassifier(**settings, random_state=seed, n_jobs=1, tree_method="hist")
        model.fit(_one_hot(train.columns, inputs), train.labels)
        return lambda columns: model.predict(_one_hot(columns, inputs), output_margin=True).astype(np.float64)

    return fit


def random_forest(settings: Settings) -> Fit:
    def fit(inputs: Inputs, train: Examples, seed: int) -> Answer:
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(**settings, random_state=seed, n_jobs=1)
        model.fit(np.nan_to_num(_one_hot(train.columns, inputs), nan=-1.0), train.labels)

        def answer(columns: Columns) -> NDArray[np.float64]:
            return _log_odds(model.predict_proba(np.nan_to_num(_one_hot(columns, inputs), nan=-1.0))[:, 1])

        return answer

    return fit


def logistic(settings: Settings) -> Fit:
    """The floor: logistic regression over words and scaled numbers, none of them crossed."""

    def fit(inputs: Inputs, train: Examples, seed: int) -> Answer:
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(
            SimpleImputer(strategy="median"),
            StandardScaler(),
            LogisticRegression(**settings, max_iter=1000, random_state=seed),
        )
        model.fit(_one_hot(train.columns, inputs), train.labels)
        return lambda columns: np.asarray(model.decision_function(_one_hot(columns, inputs)))

    return fit


def toy_network(settings: Settings) -> Fit:
    """A network as tutorials have it: categories as numbers, one hidden layer, a few epochs of Adam."""

    def fit(inputs: Inputs, train: Examples, seed: int) -> Answer:
        from fraud_ml.models.tensorflow_runtime import keras, make_deterministic

        make_deterministic(seed)
        learned = np.nan_to_num(codes(train.columns, inputs), nan=-1.0)
        mean, spread = learned.mean(axis=0), learned.std(axis=0) + 1e-9
        hidden = keras.layers.Dense(settings["units"], activation="relu")
        model = keras.Sequential([hidden, keras.layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer=keras.optimizers.Adam(settings["learning_rate"]), loss="binary_crossentropy")
        truth = train.labels.astype(np.float32)
        model.fit((learned - mean) / spread, truth, epochs=settings["epochs"], batch_size=32, verbose=0)

        def answer(columns: Columns) -> NDArray[np.float64]:
            claims = (np.nan_to_num(codes(columns, inputs), nan=-1.0) - mean) / spread
            return _log_odds(model.predict(claims, batch_size=4096, verbose=0)[:, 0].astype(np.float64))

        return answer

    return fit


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(probability, LEAST, 1 - LEAST)
    logits: NDArray[np.float64] = np.log(kept / (1 - kept))
    return logits


def codes(columns: Columns, inputs: Inputs) -> NDArray[np.float64]:
    """Return (n_claims, n_columns): a category's place in the vocabulary, then numbers; NaN where not known."""
    parts = []
    for column in inputs.categories:
        place = {word: position for position, word in enumerate(column.vocabulary)}
        parts.append(np.array([place.get(word, np.nan) for word in columns[column.name]], np.float64))
    return np.stack([*parts, *(columns[column.name].astype(np.float64) for column in inputs.numbers)], axis=1)


def _one_hot(columns: Columns, inputs: Inputs) -> NDArray[np.float32]:
    """Return (n_claims, words + n_numbers); numbers are NaN where not known."""
    words = [columns[column.name] == word for column in inputs.categories for word in column.vocabulary]
    return np.stack([*words, *(columns[column.name] for column in inputs.numbers)], axis=1).astype(np.float32)
