"""What the gates see: the candidate's figures on the test window, its rival's, and how it bore what else was tried."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import Champion, ModelManifest, Workspace, load
from fraud_ml.errors import FraudMLError, Tampered
from fraud_ml.evaluation.bootstrap import Interval, Resampling, measure, paired_difference
from fraud_ml.evaluation.circumstances import Circumstances
from fraud_ml.evaluation.clean_process import CleanAnswer
from fraud_ml.evaluation.disturbing import Disturbance
from fraud_ml.evaluation.metrics import METRICS, Metric, Scored, average_precision, figures
from fraud_ml.models import Predictor
from fraud_ml.models.catalogue import verify_model
from fraud_ml.models.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    import pandas as pd

ASKED = 25  # single claims that are timed


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
class Footprint:
    """What the model weighs and takes. Seconds differ from run to run: no report that is digested may hold them."""

    size_bytes: int
    latency_ms: float  # of one claim, the median


@dataclass(frozen=True)
class Evaluation:
    """Everything a gate may judge by. `difference` is candidate minus champion, where that was scored."""

    scored: Scored
    resampling: Resampling
    circumstances: Circumstances
    figures: Mapping[str, Interval | None]
    rival: Rival
    champion_average_precision: float | None
    difference: Interval | None
    by_name: Interval | None  # ROC AUC of a model that sees only the claims' names; None where it is undefined
    disturbances: Sequence[Disturbance]
    footprint: Footprint
    clean: CleanAnswer

    @property
    def prevalence(self) -> float:
        return float(self.scored.labels.mean())


def meet(scored: Scored, rival: Rival, resampling: Resampling) -> tuple[float | None, Interval | None]:
    """Return the champion's average precision, and by how much the candidate's differs, on the same claims."""
    if rival.probabilities is None:
        return None, None
    other = Scored.of(scored.labels, rival.probabilities)
    reached = figures(other, {"average_precision": average_precision})["average_precision"]
    return reached, paired_difference("average_precision", scored, other, resampling)


def auc_by_name(labels: NDArray[np.float64], scores: NDArray[np.float64], resampling: Resampling) -> Interval | None:
    """Return the ROC AUC of scores (n_claims,) of any scale; None where it is undefined."""
    ranks = np.unique(scores, return_inverse=True)[1].astype(np.float64)
    alone: Mapping[str, Metric] = {"roc_auc": METRICS["roc_auc"]}
    return measure(Scored.of(labels, ranks / max(1.0, ranks.max())), resampling, alone)["roc_auc"]


def weigh(folder: Path, manifest: ModelManifest, predictor: Predictor, window: "pd.DataFrame") -> Footprint:
    """Return what the exported model weighs, and how long it takes for one claim."""
    size = sum((folder / name).stat().st_size for name in manifest.files)
    taken = []
    for row in range(min(ASKED, len(window))):
        begin = time.perf_counter()
        predictor.predict(window.iloc[[row]])
        taken.append(time.perf_counter() - begin)
    return Footprint(size, 1000 * float(np.median(taken)))


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
        probabilities = predictor.predict(test)
        Scored.of(test["label"].to_numpy(), probabilities)
        return Rival(RivalState.SCORED, probabilities)
    except FraudMLError as error:
        return Rival(RivalState.UNKNOWN, reason=f"{type(error).__name__}: {error.what}")
