"""Choose the settings of model families inside a budget, and propose them as a change of params.yaml."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fraud_ml.params import TUNABLE

if TYPE_CHECKING:
    from fraud_ml.registry import TrialLog
    from fraud_ml.tuning import Trial, Tuned

CPU_SECONDS = 600.0


@click.command()
@click.option(
    "--family", type=click.Choice(sorted(TUNABLE)), help="Tune this one; default: each that would be trained."
)
@click.option(
    "--cpu-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help=f"CPU-seconds that all families share; default: {CPU_SECONDS:.0f}, or no limit with --trials.",
)
@click.option("--trials", type=click.IntRange(min=1), help="Trials of each family, those of params.yaml among them.")
@click.option("--folds", type=click.IntRange(min=1), default=3, show_default=True, help="Forward folds to judge by.")
@click.option("--write", is_flag=True, help="Change params.yaml too.")
@click.option("--json", "as_json", is_flag=True, help="Print diff and figures as JSON.")
def tune(
    family: str | None, cpu_seconds: float | None, trials: int | None, folds: int, write: bool, as_json: bool
) -> None:
    """Choose settings of the model families of the checkout in the current folder, and print the diff of params.yaml.

    Reads the train and validation windows that the features stage left, never the test window. Settings are judged by
    forward folds: each learns from the claims before it, and answers for the next ones. Those of params.yaml are tried
    first, so what is proposed is never worse by this measure; where nothing is better, the diff is empty. Every trial
    is a run in MLflow, where one is configured. A budget in CPU-seconds ends where the machine is; with --trials alone
    the same claims, params and seed propose the same.

    \b
    Example: fraud-ml tune --family boosted_trees --cpu-seconds 600 --write && dvc repro
    """
    from fraud_ml.artifacts import FeatureReport, Workspace, canonical_json, load
    from fraud_ml.edits import Edit, text_of, write_edits
    from fraud_ml.errors import BadInput
    from fraud_ml.features.windows import REPORT
    from fraud_ml.params import load_params
    from fraud_ml.settings import Settings
    from fraud_ml.tuning import Budget, current_settings, proposed, tunable_families
    from fraud_ml.tuning import tune as tune_families

    workspace = Workspace()
    params, text = load_params(workspace.params), text_of(workspace.params)
    families = (family,) if family else tunable_families(params.training)
    standing = {name: current_settings(params.training, name) for name in families}
    proposed(text, params, standing)  # what could not be written is refused before anything is spent on it
    windows = load(FeatureReport, workspace.features / REPORT)
    limit = CPU_SECONDS if cpu_seconds is None and trials is None else cpu_seconds
    kept = _Kept.of(Settings.load(), windows, families)
    try:
        tuned = tune_families(
            workspace, params, Budget(limit, trials), families=families, folds=folds, progress=_say, tell=kept.add
        )
        after = proposed(text, params, {one.family: one.changes for one in tuned})
        edit = Edit(workspace.params, text, after)
        diff = edit.diff("params.yaml")
    except BaseException as error:
        kept.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    for one in tuned:
        _say(_outcome(one))
    kept.close("FINISHED", tuned, diff)
    refused = None
    try:
        if write and diff:
            write_edits([edit])
    except BadInput as error:
        refused = error  # what was found is shown all the same
    if as_json:
        found = {one.family: _figures(one) for one in tuned}
        is_written = write and bool(diff) and refused is None
        click.echo(canonical_json({"diff": diff, "families": found, "written": is_written, "run_url": kept.run_url}))
    else:
        click.echo(diff, nl=False)
    if refused:
        raise refused


class _Kept:
    """The runs in MLflow, as long as it answers; when it does not, tuning says so once and goes on."""

    def __init__(self, log: "TrialLog | None") -> None:
        self.log = log

    @classmethod
    def of(cls, settings: Any, windows: Any, families: tuple[str, ...]) -> "_Kept":
        from fraud_ml.registry import TrialLog

        if not settings.values.get("MLFLOW_TRACKING_URI"):
            _say("MLFLOW_TRACKING_URI is not set: the trials are shown here, and kept nowhere.")
            return cls(None)
        tags = {"dataset": windows.dataset, "as_of": windows.as_of, "snapshot_digest": windows.snapshot_digest}
        name = f"{windows.as_of} tuning {', '.join(families)}"
        return cls(TrialLog(settings, windows.dataset, name=name, tags=tags))

    @property
    def run_url(self) -> str | None:
        return self.log.run_url if self.log else None

    def add(self, trial: "Trial") -> None:
        from fraud_ml.registry import TrialRun

        figures = {"cpu_s": trial.cpu_s}
        if trial.log_losses:
            figures |= {"log_loss": trial.log_loss, "average_precision": trial.average_precision}
        run = TrialRun(
            name=f"{trial.family} {trial.number}",
            state=trial.state.value,
            params={"family": trial.family, **{name: str(value) for name, value in trial.settings.items()}},
            figures=figures,
            by_fold={"fold_log_loss": trial.log_losses, "fold_average_precision": trial.average_precisions},
        )
        self._try(lambda log: log.add(run))

    def close(self, status: str, tuned: "tuple[Tuned, ...]" = (), diff: str = "") -> None:
        figures = {f"{one.family}.{name}": value for one in tuned for name, value in _compared(one).items()}
        note = f"```diff\n{diff}```" if diff else ""
        self._try(lambda log: log.close(status, figures=figures, note=note))

    def _try(self, act: Any) -> None:
        from fraud_ml.errors import Rejected, Unavailable

        if self.log is None:
            return
        try:
            act(self.log)
        except (Rejected, Unavailable) as error:
            self.log = None
            _say(f"From here on the trials are kept nowhere: {error}")


def _outcome(tuned: "Tuned") -> str:
    """Return a sentence for people; what may be chance is called so."""
    count, current, best = len(tuned.trials), tuned.current, tuned.best
    if not tuned.changes:
        return (
            f"{tuned.family}: of {count} settings none is better than params.yaml's, log loss {current.log_loss:.4f}."
        )
    gain, error = tuned.gain
    doubt = "" if gain > error else ", which may be chance"
    return (
        f"{tuned.family}: trial {best.number} of {count} is better by {gain:.4f} ± {error:.4f} nats a claim{doubt}; "
        f"average precision {current.average_precision:.3f} -> {best.average_precision:.3f}."
    )


def _compared(tuned: "Tuned") -> dict[str, float]:
    gain, error = tuned.gain
    return {
        "current_log_loss": tuned.current.log_loss,
        "best_log_loss": tuned.best.log_loss,
        "gain": gain,
        "gain_standard_error": error,
        "current_average_precision": tuned.current.average_precision,
        "best_average_precision": tuned.best.average_precision,
    }


def _figures(tuned: "Tuned") -> dict[str, Any]:
    trials = [
        {name: value for name, value in asdict(trial).items() if name not in ("claims", "family")}
        for trial in tuned.trials
    ]
    return {**_compared(tuned), "changes": tuned.changes, "trials": trials}


def _say(line: str) -> None:
    click.echo(line, err=True)
