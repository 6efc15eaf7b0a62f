"""What changes the model: one frozen section of params.yaml for each stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fraud_ml.documents import Document, read_document

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]


class ValidationParams(Document):
    """How much a snapshot may be wrong before nobody trains on it."""

    max_quarantined_share: Share


class FeatureParams(Document):
    """How mature, labelled claims are split, always by event time: train, then validation, then test."""

    test_months: PositiveInt
    validation_months: PositiveInt
    gap_days: Annotated[int, Field(ge=0)] = 0  # between one window and the next
    min_positives: PositiveInt


class KerasTabularParams(Document):
    """Small Keras networks, averaged, over embedded categories, scaled numbers and screened crosses."""

    members: PositiveInt
    crosses: Annotated[int, Field(ge=0)]
    hidden_units: tuple[PositiveInt, ...]
    embedding_size: PositiveInt
    dropout: Share
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: PositiveInt
    max_epochs: PositiveInt
    patience: PositiveInt
    strategy: Literal["one_device", "mirrored"] = "one_device"
    mixed_precision_on_gpu: bool = False
    jit_compile_on_gpu: bool = False


class BoostedTreesParams(Document):
    """A small bag of gradient-boosted trees over 0/1 conditions."""

    members: PositiveInt
    trees: PositiveInt
    depth: Annotated[int, Field(gt=0, le=8)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    column_share: Annotated[float, Field(gt=0, le=1)]
    row_share: Annotated[float, Field(gt=0, le=1)]
    l2: Annotated[float, Field(ge=0)]
    min_hessian: Annotated[float, Field(gt=0)]
    bins: PositiveInt
    crosses: Annotated[int, Field(ge=0)]


class LogisticParams(Document):
    """Logistic regression over category values and scaled numbers."""

    ridge: Annotated[float, Field(gt=0)]


class BlendParams(Document):
    """A weighted mean of families' log-odds; weights are multiples of 1/steps, chosen on validation."""

    families: Annotated[
        tuple[Literal["boosted_trees", "keras_tabular", "logistic"], ...], Field(min_length=2, max_length=3)
    ]
    steps: Annotated[int, Field(gt=0, le=20)]


class RandomForestParams(Document):
    """A scikit-learn random forest over one-hot categories."""

    trees: PositiveInt
    min_samples_leaf: PositiveInt


class TrainingParams(Document):
    """Which families are trained; the best on validation is the candidate, fitted again with validation if `refit`."""

    families: Annotated[
        tuple[Literal["blend", "boosted_trees", "keras_tabular", "logistic", "random_forest"], ...], Field(min_length=1)
    ]
    seed: Annotated[int, Field(ge=0)]
    refit: bool
    blend: BlendParams
    boosted_trees: BoostedTreesParams
    keras_tabular: KerasTabularParams
    logistic: LogisticParams
    random_forest: RandomForestParams


@dataclass(frozen=True)
class Knob:
    """A setting that tuning may choose: from `low` to `high`, whole where they are, or one of `choices`.

    `log`: equal ratios are equally likely, not equal differences.
    """

    name: str  # as in params.yaml
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Tunable:
    """What tuning may choose of a family. `stops_early`: its fit looks at later claims, to see when to stop."""

    knobs: tuple[Knob, ...]
    stops_early: bool = False


# One row a knob. Left out is what only buys accuracy with time (`members`, a forest's `trees`): tuning would buy all.
TUNABLE: Mapping[str, Tunable] = {
    "boosted_trees": Tunable(
        (
            Knob("trees", 50, 600, log=True),
            Knob("depth", 2, 6),
            Knob("learning_rate", 0.01, 0.3, log=True),
            Knob("column_share", 0.3, 1.0),
            Knob("row_share", 0.5, 1.0),
            Knob("l2", 0.1, 30.0, log=True),
            Knob("min_hessian", 0.1, 30.0, log=True),
            Knob("bins", 8, 64, log=True),
            Knob("crosses", 0, 40),
        )
    ),
    "keras_tabular": Tunable(
        (
            Knob("crosses", 0, 40),
            Knob("hidden_units", choices=((32,), (64,), (32, 16), (64, 32), (128, 64))),
            Knob("embedding_size", 2, 16, log=True),
            Knob("dropout", 0.0, 0.5),
            Knob("learning_rate", 0.0005, 0.02, log=True),
            Knob("batch_size", 64, 1024, log=True),
        ),
        stops_early=True,
    ),
    "logistic": Tunable((Knob("ridge", 0.01, 100.0, log=True),)),
    "random_forest": Tunable((Knob("min_samples_leaf", 1, 50, log=True),)),
}


class MoneyParams(Document):
    """What an investigation costs and saves, and how many claims investigators can look at."""

    capacity_per_day: Annotated[float, Field(gt=0)]
    investigation_eur: Annotated[float, Field(ge=0)]
    recovered_share: Share  # of a confirmed fraud's amount
    amount_where_unknown_eur: Annotated[float, Field(ge=0)]
    max_honest_bothered: Share


class CalibrationParams(Document):
    """How far probabilities may be from what happens."""

    max_error: Share
    max_ratio: Annotated[float, Field(ge=1)]


class SliceParams(Document):
    """How evenly honest claimants must be bothered."""

    severity: Literal["stop", "advice"]
    min_fpr_ratio: Share
    min_honest: PositiveInt


class StabilityParams(Document):
    """How far a single month may fall behind the window."""

    max_loss: Share
    min_frauds: PositiveInt
    min_share_of_frauds: Share


class LeakParams(Document):
    """How much the names of claims may tell."""

    max_roc_auc: Annotated[float, Field(ge=0.5, le=1)]
    learn_from: PositiveInt


class RobustnessParams(Document):
    """What missing, unseen and extreme values may do to scores."""

    claims: PositiveInt
    max_shift: Share


class FootprintParams(Document):
    """What a model may weigh, and how long it may take."""

    max_size_mib: Annotated[float, Field(gt=0)]
    max_latency_ms: Annotated[float, Field(gt=0)]
    max_memory_mib: Annotated[float, Field(gt=0)]
    max_start_cpu_s: Annotated[float, Field(gt=0)]


class EvaluationParams(Document):
    """How a candidate is measured, and what it must reach on the frozen test window."""

    bootstrap_rounds: PositiveInt
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    min_positives: PositiveInt
    money: MoneyParams
    min_lift_over_prevalence: Annotated[float, Field(ge=1.0)]
    max_loss_to_champion: Annotated[float, Field(ge=0.0)]
    calibration: CalibrationParams
    slices: SliceParams
    stability: StabilityParams
    leak: LeakParams
    robustness: RobustnessParams
    footprint: FootprintParams


class GovernanceParams(Document):
    """How many distinct people must approve a candidate's digest."""

    required_approvals: PositiveInt


class Params(Document):
    """The whole of params.yaml."""

    validation: ValidationParams
    features: FeatureParams
    training: TrainingParams
    evaluation: EvaluationParams
    governance: GovernanceParams


def load_params(path: Path) -> Params:
    """Return params.yaml. Raises BadInput naming file, line and key when a key is unknown or a value does not fit."""
    return read_document(path, Params)
