"""Learn from two windows: fit every configured family, calibrate, and choose the one that ranks validation best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fraud_ml.contract import Column
from fraud_ml.errors import BadInput
from fraud_ml.models.calibrate import fit_platt, move_level
from fraud_ml.models.catalogue import fit_family
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.family import Calibration, Examples, Family, Progress, require_finite
from fraud_ml.models.inputs import Inputs, describe_inputs
from fraud_ml.models.ranking import average_precision
from fraud_ml.params import TrainingParams

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Trained:
    """A fitted family, what it takes, what turns its log-odds into probabilities, and how well it ranks validation."""

    name: str
    model: Family
    inputs: Inputs
    calibration: Calibration
    validation_average_precision: float

    def again(self, inputs: Inputs, both: "pd.DataFrame", progress: Progress, checkpoint: Checkpoint) -> "Trained":
        """Return it fitted to both windows.

        The calibration keeps its slope, since claims that a model learned from cannot give one. Its level is moved to
        the share of frauds in both windows: three months may have been recorded otherwise than those to come (on
        car claims, quarter by quarter, the calibration error was .037 so, and .056 at the level of the last months).
        """
        progress(f"{self.name}: learning again from {len(both):,} claims")
        tell, examples = partial(_tell_of, self.name, progress), Examples.of(both, inputs)
        model = self.model.refit(inputs, examples, progress=tell, checkpoint=checkpoint)
        logits = require_finite(self.name, model.logits(examples.columns))
        calibration = move_level(self.calibration, logits, examples.labels)
        return replace(self, model=model, inputs=inputs, calibration=calibration)


def learn(
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    features: Sequence[Column],
    params: TrainingParams,
    progress: Progress,
    whole: "pd.DataFrame | None" = None,
    checkpoint: Checkpoint = NOWHERE,
) -> tuple[str, dict[str, Trained]]:
    """Return the chosen family's name, and each of `params.families` as trained, in their order.

    Frames hold the features and `label` of {0, 1}; `validation` is later. With `params.refit` the chosen one learns
    again, from `whole` or else from both: the latest claims are the most like those to come. Ties go to the family that
    params name first. `checkpoint` belongs to these claims and params alone: what was interrupted goes on from it.
    Raises BadInput when a window holds one class only, a column cannot be learned from, or a model answers no numbers.
    """
    inputs = describe_inputs(train, features)
    examples, later = Examples.of(train, inputs), Examples.of(validation, inputs)
    for window, found in (("train", examples), ("validation", later)):
        _require_both_classes(window, found)
    trained: dict[str, Trained] = {}
    fitted: dict[str, Family] = {}
    for name in params.families:
        trained[name] = _fit_and_calibrate(name, inputs, examples, later, params, progress, fitted, checkpoint)
    chosen = max(trained, key=lambda name: trained[name].validation_average_precision)
    if params.refit:
        import pandas as pd

        both = pd.concat([train, validation], ignore_index=True) if whole is None else whole
        trained[chosen] = trained[chosen].again(
            describe_inputs(both, features), both, progress, checkpoint.part("again").part(chosen)
        )
    return chosen, trained


def _fit_and_calibrate(
    name: str,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    params: TrainingParams,
    progress: Progress,
    fitted: dict[str, Family],
    checkpoint: Checkpoint,
) -> Trained:
    """Fit one family on `train`, and see on the later `validation` how well it ranks and what its log-odds mean."""
    tell = partial(_tell_of, name, progress)
    tell(f"learning from {len(train.labels):,} claims")
    model = fit_family(name, inputs, train, validation, params, progress=tell, fitted=fitted, checkpoint=checkpoint)
    logits = require_finite(name, model.logits(validation.columns))
    reached = round(average_precision(validation.labels, logits), 6)
    tell(f"average precision {reached:.3f} on validation")
    return Trained(name, model, inputs, fit_platt(logits, validation.labels), reached)


def _tell_of(name: str, progress: Progress, line: str) -> None:
    progress(f"{name}: {line}")


def _require_both_classes(name: str, examples: Examples) -> None:
    positives = int(examples.labels.sum())
    if positives in (0, len(examples.labels)):
        raise BadInput(
            f"the {name} window holds one class only",
            expected="confirmed and cleared claims",
            arrived=f"{positives} frauds in {len(examples.labels)} claims",
            next_step="choose other windows in params.yaml",
        )
