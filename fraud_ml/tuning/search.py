"""Search one family's settings inside a budget, judged by forward folds.

The figure is the calibrated log loss, in nats a claim, averaged over the folds. Average precision, by which families
are chosen and gated, is told beside it; but of a few dozen frauds it hangs on a handful of places, and the best of
fifty noisy figures is mostly luck. Log loss sees every claim, so it chooses more calmly, as it does in the blend.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.errors import BadInput
from fraud_ml.models.calibrate import calibrated_losses
from fraud_ml.models.catalogue import family_named
from fraud_ml.models.family import Family, Progress
from fraud_ml.models.ranking import average_precision
from fraud_ml.params import TUNABLE, Document, Knob, TrainingParams
from fraud_ml.tuning.folds import Fold

if TYPE_CHECKING:
    import optuna

Setting = int | float | tuple[int, ...]
NOTHING_NEW = 20  # suggestions in a row that were all tried before: there is nothing left to find


class TrialState(StrEnum):
    """How a trial ended: answered every fold, given up after one, or without finite answers."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and a figure of each fold that was answered. Number 0 are those of params.yaml."""

    family: str
    number: int
    settings: Mapping[str, Setting]
    state: TrialState
    log_losses: tuple[float, ...]  # nats a claim, calibrated
    average_precisions: tuple[float, ...]
    cpu_s: float
    claims: tuple[NDArray[np.float64], ...] = field(repr=False, compare=False)  # each fold's losses, claim by claim

    @property
    def log_loss(self) -> float:
        return float(np.mean(self.log_losses)) if self.log_losses else float("nan")

    @property
    def average_precision(self) -> float:
        return float(np.mean(self.average_precisions)) if self.average_precisions else float("nan")


@dataclass(frozen=True)
class Tuned:
    """A family's trials. `best` is `current` where nothing answered better than what params.yaml says."""

    family: str
    trials: tuple[Trial, ...]

    @property
    def current(self) -> Trial:
        return self.trials[0]

    @property
    def best(self) -> Trial:
        complete = (trial for trial in self.trials if trial.state is TrialState.COMPLETE)
        return min(complete, key=lambda trial: (trial.log_loss, trial.number))

    @property
    def changes(self) -> dict[str, Setting]:
        """The best settings that differ from params.yaml's."""
        return {name: value for name, value in self.best.settings.items() if value != self.current.settings[name]}

    @property
    def gain(self) -> tuple[float, float]:
        """How much lower the best log loss is, and the standard error of that, paired over the same claims."""
        less = [now - then for now, then in zip(self.current.claims, self.best.claims, strict=True)]
        variances = [fold.var() / len(fold) for fold in less]
        return float(np.mean([fold.mean() for fold in less])), float(np.sqrt(np.sum(variances))) / len(less)


@dataclass(frozen=True)
class Budget:
    """How long to search: CPU-seconds of this process, trials of each family, or whichever ends first."""

    cpu_s: float | None = None
    trials: int | None = None
    clock: Callable[[], float] = field(default=time.process_time, repr=False)

    def __post_init__(self) -> None:
        if self.cpu_s is None and self.trials is None:
            raise BadInput("tuning has no end", next_step="say --cpu-seconds or --trials")

    def may_begin(self, spent: Sequence[float], ends_at: float) -> bool:
        """Say whether another trial fits, if it takes as long as those before it did on average (`spent`)."""
        if self.trials is not None and len(spent) >= self.trials:
            return False
        return self.clock() + (float(np.mean(spent)) if spent else 0.0) < ends_at


def current_settings(params: TrainingParams, family: str) -> dict[str, Setting]:
    """Return what `params` say of the family's knobs."""
    return {knob.name: getattr(getattr(params, family), knob.name) for knob in TUNABLE[family].knobs}


def search(
    family: str,
    folds: Sequence[Fold],
    params: TrainingParams,
    budget: Budget,
    ends_at: float,
    progress: Progress,
    tell: Callable[[Trial], None],
) -> Tuned:
    """Try settings of `family` until the budget's clock stands at `ends_at`, or its trials are done.

    The settings of `params` are tried first, so nothing worse can come out. Where fits look at later claims to see when
    to stop, the first fold serves for that alone: what a fold answers for, its model never saw. `tell` hears of each
    trial when it is over. Equal folds, params and number of trials give equal trials in every process.
    Raises BadInput when the settings of `params` themselves do not answer in finite numbers.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    row, now = TUNABLE[family], current_settings(params, family)
    family_named(family)  # loads its library, which is no trial's cost
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=params.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.enqueue_trial({name: _told(value) for name, value in now.items()})
    trials: list[Trial] = []
    known: dict[tuple[Setting, ...], Trial] = {}
    repeated = 0
    while repeated < NOTHING_NEW and (not trials or budget.may_begin([trial.cpu_s for trial in trials], ends_at)):
        asked = study.ask()
        settings = {knob.name: _suggested(knob, asked, now[knob.name]) for knob in row.knobs}
        again = known.get(tuple(settings.values()))
        repeated = repeated + 1 if again else 0
        trial = again or _try(family, len(trials), settings, folds, params, asked, trials[:1], budget.clock)
        _answer_study(study, asked, trial)
        if again:
            continue
        known[tuple(settings.values())] = trial
        trials.append(trial)
        progress(_line(trial, trials[0], ends_at - budget.clock()))
        tell(trial)
        if trials[0].state is TrialState.FAILED:
            raise BadInput(
                f"{family} as params.yaml sets it does not answer in finite numbers",
                next_step=f"correct training.{family} in params.yaml",
            )
    return Tuned(family, tuple(trials))


def _try(
    family: str,
    number: int,
    settings: Mapping[str, Setting],
    folds: Sequence[Fold],
    params: TrainingParams,
    asked: "optuna.Trial",
    current: Sequence[Trial],
    clock: Callable[[], float],
) -> Trial:
    """Answer fold by fold. The pruner is shown what was lost against the current settings on the same folds.

    Folds differ in how hard they are; the differences can be compared.
    """
    began, state = clock(), TrialState.COMPLETE
    given = getattr(params, family)
    knobs = type(given).model_validate({**given.model_dump(), **settings}, strict=False)
    losses: list[NDArray[np.float64]] = []
    precisions: list[float] = []
    asked_for = folds[1:] if TUNABLE[family].stops_early else folds
    for place, fold in enumerate(asked_for):
        earlier = folds[place] if TUNABLE[family].stops_early else None
        logits = model_of_the_past(family, fold, earlier, knobs, params.seed).logits(fold.ahead.columns)
        if not np.isfinite(logits).all():
            state = TrialState.FAILED
            break
        losses.append(calibrated_losses(logits, fold.ahead.labels))
        precisions.append(average_precision(fold.ahead.labels, logits))
        lost = [
            mine.mean() - usual for mine, usual in zip(losses, current[0].log_losses if current else (), strict=False)
        ]
        asked.report(float(np.mean(lost)) if lost else 0.0, place)
        if current and place + 1 < len(asked_for) and asked.should_prune():
            state = TrialState.PRUNED
            break
    means = tuple(float(fold.mean()) for fold in losses)
    return Trial(family, number, settings, state, means, tuple(precisions), clock() - began, tuple(losses))


def model_of_the_past(family: str, fold: Fold, earlier: Fold | None, knobs: Document, seed: int) -> Family:
    """Return the model of the fold's past, which never saw what it answers for.

    With `earlier`, its stretch, which lies in this past, says when to stop; then all of this past is learned from, as
    training does with its windows.
    """
    learner: Any = family_named(family)
    first = earlier or fold
    fitted: Family = learner.fit(
        first.inputs,
        first.past,
        earlier.ahead if earlier else first.past,
        knobs,
        seed=seed,
        progress=_quiet,
    )
    return fitted.refit(fold.inputs, fold.past, progress=_quiet) if earlier else fitted


def _suggested(knob: Knob, asked: "optuna.Trial", now: Setting) -> Setting:
    """Return the knob's value in this trial. The range reaches as far as the current value, wherever that lies.

    Real numbers are rounded to three digits before they are tried: what is written is what was measured.
    """
    if knob.choices:
        choices = {_told(choice): choice for choice in dict.fromkeys((*knob.choices, now))}
        return choices[asked.suggest_categorical(knob.name, list(choices))]  # type: ignore[return-value]
    assert not isinstance(now, tuple)
    low, high = min(knob.low, now), max(knob.high, now)
    if isinstance(knob.low, int):
        return asked.suggest_int(knob.name, int(low), int(high), log=knob.log and low > 0)
    value = asked.suggest_float(knob.name, low, high, log=knob.log and low > 0)
    return now if value == now else float(f"{value:.3g}")


def _told(value: Setting) -> Any:
    """Return the value as Optuna takes it."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _answer_study(study: "optuna.Study", asked: "optuna.Trial", trial: Trial) -> None:
    from optuna.trial import TrialState as Told

    if trial.state is TrialState.COMPLETE:
        study.tell(asked, trial.log_loss)
    else:
        study.tell(asked, state=Told.PRUNED if trial.state is TrialState.PRUNED else Told.FAIL)


def _line(trial: Trial, current: Trial, left_s: float) -> str:
    figures = f"log loss {trial.log_loss:.4f}, average precision {trial.average_precision:.3f}"
    if trial.state is not TrialState.COMPLETE:
        figures = f"{trial.state.value} after {len(trial.log_losses)} of {len(current.log_losses)} folds"
    of = " (params.yaml)" if trial.number == 0 else f" (params.yaml: {current.log_loss:.4f})"
    left = "" if np.isinf(left_s) else f"; {max(left_s, 0):.0f} left"
    return f"{trial.family} trial {trial.number}: {figures}{of}, {trial.cpu_s:.1f} CPU-seconds{left}"


def _quiet(_: str) -> None:
    """Say nothing of single fits."""
