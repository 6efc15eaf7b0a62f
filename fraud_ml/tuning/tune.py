"""Tune the families of a workspace by what the features stage left there, without its test window."""

from collections.abc import Callable, Sequence

from fraud_ml.artifacts import Workspace
from fraud_ml.errors import BadInput
from fraud_ml.features.windows import read_window
from fraud_ml.models.family import Progress
from fraud_ml.params import TUNABLE, Params, TrainingParams
from fraud_ml.training.train import accepted_windows, say
from fraud_ml.tuning.folds import lay_folds
from fraud_ml.tuning.search import Budget, Trial, Tuned, search

FOLDS = 3


def tunable_families(params: TrainingParams) -> tuple[str, ...]:
    """Return the families that would be trained and have knobs, a blend's parts in its place, each once."""
    parts = [part for name in params.families for part in (params.blend.families if name == "blend" else (name,))]
    return tuple(name for name in dict.fromkeys(parts) if name in TUNABLE)


def tune(
    workspace: Workspace,
    params: Params,
    budget: Budget,
    *,
    families: Sequence[str],
    folds: int = FOLDS,
    progress: Progress = say,
    tell: Callable[[Trial], None] = lambda _: None,
) -> tuple[Tuned, ...]:
    """Return each family's trials, in the order of `families`, which share the CPU-seconds; what one leaves is others'.

    Reads train and validation, never test. A family for which nothing is left is not among the answers, and `progress`
    says so.
    Raises NotAccepted when the snapshot's verdict is not `accepted`, Undefined when a fold holds too few frauds,
    BadInput when a family has no knobs or the windows were split with another gap.
    """
    import pandas as pd

    for family in families:
        if family not in TUNABLE:
            raise BadInput(f"`{family}` cannot be tuned", expected=f"one of {', '.join(TUNABLE)}")
    began = budget.clock()
    windows, features = accepted_windows(workspace)
    claims = pd.concat([read_window(workspace.features, name) for name in ("train", "validation")], ignore_index=True)
    tuned = []
    for place, family in enumerate(families):
        now, end = budget.clock(), float("inf") if budget.cpu_s is None else began + budget.cpu_s
        if now >= end:
            progress(f"{family}: not tuned, the budget is spent")
            continue
        ends_at = now + (end - now) / (len(families) - place)
        laid = lay_folds(claims, features, windows, params.features, folds + TUNABLE[family].stops_early)
        tuned.append(search(family, laid, params.training, budget, ends_at, progress, tell))
    return tuple(tuned)
