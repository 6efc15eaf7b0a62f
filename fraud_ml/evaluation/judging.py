"""What the gates see: the candidate's figures on the test window, and what is known of its rival, the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import Champion, ModelManifest, Workspace, load
from fraud_ml.errors import FraudMLError, Tampered
from fraud_ml.evaluation.bootstrap import Interval, average_precision_difference, measure
from fraud_ml.evaluation.metrics import Scored
from fraud_ml.models.catalogue import verify_model
from fraud_ml.models.manifest import MANIFEST_FILE
from fraud_ml.params import EvaluationParams

if TYPE_CHECKING:
    import pandas as pd


class RivalState(StrEnum):
    """What became of the champion on the test window."""

    NONE = "none"  # there is no champion
    SAME = "same"  # the champion is this very model
    SCORED = "scored"
    UNKNOWN = "unknown"  # there is one, and it could not be scored


@dataclass(frozen=True)
class Rival:
    """The champion, on the candidate's test window."""

    state: RivalState
    probabilities: NDArray[np.float64] | None = None
    reason: str = ""  # why it is unknown


@dataclass(frozen=True)
class Evaluation:
    """Everything a gate may judge by. `difference` is candidate minus champion, where that was scored."""

    figures: Mapping[str, Interval]
    prevalence: float
    rival: Rival
    champion_average_precision: float | None
    difference: Interval | None


def evaluate(scored: Scored, rival: Rival, params: EvaluationParams) -> Evaluation:
    """Measure the candidate, and pair it with its rival where there is one."""
    rounds, confidence = params.bootstrap_rounds, params.confidence
    reached, difference = None, None
    if rival.probabilities is not None:
        other = Scored.of(scored.labels, rival.probabilities)
        reached = float(other.ranking.average_precision()[0])
        difference = average_precision_difference(scored, other, rounds=rounds, confidence=confidence)
    figures = measure(scored, rounds=rounds, confidence=confidence)
    return Evaluation(figures, float(scored.labels.mean()), rival, reached, difference)


def score_champion(workspace: Workspace, test: "pd.DataFrame", candidate: ModelManifest) -> Rival:
    """Return the pinned champion's probabilities on `test`. What stops it from being scored is told, not raised.

    Only the record itself must be there: a run without one was opened wrongly.
    """
    champion = load(Champion, workspace.champion_record)
    if not champion.exists:
        return Rival(RivalState.NONE)
    if champion.model_digest == candidate.model_digest:
        return Rival(RivalState.SAME)
    try:
        manifest = load(ModelManifest, workspace.champion_model / MANIFEST_FILE)
        if manifest.model_digest != champion.model_digest:
            path = str(workspace.champion_model)
            raise Tampered(f"{path}: not the model that the champion's record names", path=path)
        predictor = verify_model(workspace.champion_model, manifest)
        return Rival(RivalState.SCORED, predictor.predict(test))
    except FraudMLError as error:
        return Rival(RivalState.UNKNOWN, reason=f"{type(error).__name__}: {error.what}")
