"""A sound candidate as the gates see it, and the same one spoilt in a single respect."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Kind
from fraud_ml.evaluation.bootstrap import Resampling, measure
from fraud_ml.evaluation.circumstances import Circumstances
from fraud_ml.evaluation.clean_process import CleanAnswer
from fraud_ml.evaluation.disturbing import Disturbance, disturb
from fraud_ml.evaluation.judging import Evaluation, Footprint, Rival, RivalState, auc_by_name, meet
from fraud_ml.evaluation.metrics import METRICS, Scored
from fraud_ml.models import Predictor
from fraud_ml.models.family import Opened
from fraud_ml.models.inputs import Columns, Input, Inputs
from fraud_ml.params import EvaluationParams
from tests.toy_claims import toy_params

INPUTS = Inputs(
    (
        Input("garage", Kind.CATEGORY, ("north", "south")),
        Input("amount", Kind.NUMBER, (), 1000.0, 400.0, (100.0, 900.0, 2000.0)),
    )
)


def gate_params(**changed: object) -> EvaluationParams:
    """Return the project's own, slices a stop and compared as fifty claims a group allow."""
    given = toy_params().evaluation
    slices = given.slices.model_copy(update={"severity": "stop", "min_fpr_ratio": 0.5})
    return given.model_copy(update={"bootstrap_rounds": 300, "slices": slices, **changed})


def evaluation_of(
    labels: NDArray,
    probabilities: NDArray,
    *,
    months: NDArray | None = None,
    slices: dict[str, NDArray] | None = None,
    rival: Rival | None = None,
    by_name: NDArray | None = None,
    disturbances: list[Disturbance] | None = None,
    footprint: Footprint | None = None,
    clean: CleanAnswer | None = None,
    rounds: int = 300,
) -> Evaluation:
    """Return what the gates see of these claims; everything that is not given is sound."""
    rng = np.random.default_rng(1)
    scored, resampling = Scored.of(labels, probabilities), Resampling(rounds, 0.95)
    everyone = len(labels)
    rival = rival or Rival(RivalState.NONE)
    reached, difference = meet(scored, rival, resampling)
    names = rng.normal(size=everyone) if by_name is None else by_name
    return Evaluation(
        scored=scored,
        resampling=resampling,
        circumstances=Circumstances(
            keys=np.array([f"c{number}" for number in range(everyone)], dtype=object),
            months=np.array([f"2024-{1 + number % 12:02d}" for number in range(everyone)], dtype=object)
            if months is None
            else months,
            groups=None,
            amounts=None,
            slices={"garage": rng.choice(np.array(["north", "south"], dtype=object), everyone)}
            if slices is None
            else slices,
        ),
        figures=measure(scored, resampling, METRICS),
        rival=rival,
        champion_average_precision=reached,
        difference=difference,
        by_name=auc_by_name(scored.labels, names, resampling),
        disturbances=[Disturbance("garage", "missing", 0, 0.02)] if disturbances is None else disturbances,
        footprint=footprint or Footprint(1_000_000, 3.0),
        clean=clean or CleanAnswer("", 100, 1e-8, 700.0, 4.0),
    )


def drawn(claims: int = 8000, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Return labels that happen exactly as often as the probabilities say."""
    rng = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-rng.normal(-3.2, 1.4, claims)))
    return (rng.random(claims) < probabilities).astype(np.float64), probabilities


def disturbed(answer: Callable[[Columns], NDArray], claims: int = 60) -> list[Disturbance]:
    """Return what every disturbance does to a model that answers so, asked about made-up claims."""
    import pandas as pd

    from fraud_ml.artifacts import ModelManifest

    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"garage": rng.choice(["north", "south"], claims), "amount": rng.uniform(100, 2000, claims), "label": 0}
    )
    predictor = Predictor(
        ModelManifest("toy", "", "", {}, INPUTS.names), INPUTS, Opened(answer, answer_coded=None, explain=None)
    )  # type: ignore[arg-type]
    return disturb(predictor, frame, predictor.predict(frame), claims)


def steady(columns: Columns) -> NDArray:
    """A sound model: what it does not know moves it to the middle."""
    amount = np.nan_to_num(np.clip((columns["amount"] - 1000.0) / 400.0, -3, 3).astype(np.float64))
    return 1 / (1 + np.exp(3 - 0.3 * amount - 0.2 * (columns["garage"] == "north")))


def by_chance(labels: NDArray) -> Evaluation:
    share = labels.mean()
    noise = np.random.default_rng(3).uniform(-1e-3, 1e-3, len(labels))
    return evaluation_of(labels, share + noise)


def beaten(labels: NDArray, probabilities: NDArray) -> Evaluation:
    sharper = np.clip(probabilities + 0.3 * labels, 0, 1)
    return evaluation_of(labels, probabilities, rival=Rival(RivalState.SCORED, sharper))


def bothering_the_north(labels: NDArray, probabilities: NDArray) -> Evaluation:
    rng = np.random.default_rng(4)
    often = np.where(probabilities > np.quantile(probabilities, 0.9), 0.85, 0.5)
    garages = np.where(rng.random(len(labels)) < often, "north", "south").astype(object)
    return evaluation_of(labels, probabilities, slices={"garage": garages})


def blind_in_december(labels: NDArray, probabilities: NDArray) -> Evaluation:
    """The frauds it misses most, and the honest claims it suspects most, fall into one month."""
    sound = evaluation_of(labels, probabilities)
    months = sound.circumstances.months.copy()
    frauds, honest = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    months[frauds[np.argsort(probabilities[frauds])[:20]]] = "2024-12"
    months[honest[np.argsort(-probabilities[honest])[:200]]] = "2024-12"
    return replace(sound, circumstances=replace(sound.circumstances, months=months))
