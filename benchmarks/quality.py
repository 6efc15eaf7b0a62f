"""How well our models find fraud, against tuned gradient boosting on the same claims, in the same run.

Ours is what `fraud-ml train` does with params.yaml: its families learn from the earlier claims, validation chooses
among them, and among the blend's weights, and calibrates; then all learn again from both. `boosted_trees_alone_ap` and
`keras_tabular_alone_ap` are the blend's parts by themselves, of one seed. Each peer learns from all of the same claims
with settings chosen on training periods only (see `_quality_tuning.py`), and is calibrated by the same rule.

Five seeds, the same for all; `runs` are seeds. `paired_lower_vs_lightgbm` is the lower 95 % bound of our average
precision less LightGBM's, both on the same 1,000 draws of the test claims, with both models' probabilities averaged
over seeds. Each model's answers are kept below the stack's home, so that a comparison that was cut short goes on.

carclaims          learn 1994-95, answer for 1996, which no setting was ever chosen on
carclaims-forward  learn all before a quarter of 1995, answer for it; the mean of four (in Q2 fraud was hardly recorded)
carclaims-cv       five folds of 1994-95, dealt by month and label, anew for each seed; above .30 would be a leak
handbook           simulated card payments: a week, a week's delay, a week; the handbook's features and row filter
motor              our simulated insurer, 120,000 claims, another insurer for each seed: its investigated, mature
                   claims; `bayes_ap` is the best that the observable columns allow

The leak that a random split hides is shown too: LightGBM with calendar and ids, as a random split would tune it, in a
random split and out of time.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import _quality_peers as peers
from benchmarks import _quality_rounds as rounds
from benchmarks._quality_answers import Answers, Kept
from benchmarks._quality_settings import LEAKY, SETTINGS
from benchmarks.harness import Figure, Figures
from fraud_ml.evaluation.bootstrap import Resampling, paired_difference
from fraud_ml.evaluation.metrics import Scored, figures
from fraud_ml.models.calibrate import fit_platt, move_level
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.models.ranking import average_precision
from fraud_ml.params import TrainingParams, load_params
from fraud_ml.settings import PROJECT, Settings

SEEDS = (1, 2, 3, 4, 5)
TRIED = "settings tried on training periods: ours 17, LightGBM 30, XGBoost 18, RandomForest and logistic 12 each"

DATASETS: dict[str, Callable[[int], rounds.Task]] = {
    "carclaims": lambda _: rounds.carclaims(),
    "carclaims-forward": lambda _: rounds.carclaims_forward(),
    "carclaims-cv": rounds.carclaims_cv,
    "handbook": lambda _: rounds.handbook(),
    "motor": rounds.motor,
}
ANEW = ("carclaims-cv", "motor")  # each seed has claims of its own to answer for
_UNITS = {"brier": "squared error", "ece": "probability"}


def run(*, quick: bool, dataset: str) -> Figures:
    """Compare on one dataset; `quick` takes one seed, and of motor a sixth of the claims."""
    seeds = SEEDS[:1] if quick else SEEDS
    if dataset in ANEW:
        tasks = [_task(dataset, seed, quick=quick) for seed in seeds]
    else:
        tasks = [_task(dataset, seeds[0], quick=quick)] * len(seeds)
    params = load_params(PROJECT / "params.yaml").training
    line = dataset.split("-", maxsplit=1)[0]
    fits = _peers(line)
    home = Settings.load().home / "bench-quality"
    kept = Kept.below(home, dataset, quick, params.model_dump(mode="json"), SETTINGS[line])
    ours, theirs = [], {name: [] for name in fits}  # type: ignore[var-annotated]
    for seed, task in zip(seeds, tasks, strict=True):
        ours.append(kept.answers(f"ours-{seed}", partial(_ours, task, params, seed)))
        for name, fit in fits.items():
            theirs[name].append(kept.answers(f"{name}-{seed}", partial(_theirs, task, fit, seed)))
        print(f"{dataset}: seed {seed} done", file=sys.stderr, flush=True)
    found = {**_told(tasks, ours), **{f"{name}_ap": _ap(tasks, answers, name) for name, answers in theirs.items()}}
    for part in params.blend.families:
        alone = partial(_ours, tasks[0], params.model_copy(update={"families": (part,)}), seeds[0])
        found[f"{part}_alone_ap"] = _ap(tasks[:1], [kept.answers(f"{part}-alone", alone)], part)
    found["paired_lower_vs_lightgbm"] = _paired(tasks, ours, theirs["lightgbm"])
    found["train_cpu_s"] = Figure.median_of(
        [one.train_cpu_s / len(task.rounds) for one, task in zip(ours, tasks, strict=True)],
        "s",
        note="all families, choosing, calibrating and learning again; CPU seconds of one round",
    )
    if dataset == "carclaims":
        found.update(_leak())
    if dataset == "motor":
        found.update(_bayes(tasks, ours))
    return found


def _task(dataset: str, seed: int, *, quick: bool) -> rounds.Task:
    return rounds.motor(seed, 20_000) if dataset == "motor" and quick else DATASETS[dataset](seed)


def _peers(dataset: str) -> dict[str, peers.Fit]:
    chosen = SETTINGS[dataset]
    return {
        "lightgbm": peers.lightgbm(chosen["lightgbm"]),
        "xgboost": peers.xgboost(chosen["xgboost"]),
        "random_forest": peers.random_forest(chosen["random_forest"]),
        "floor": peers.logistic(chosen["logistic"]),
        "toy": peers.toy_network(chosen["toy_network"]),
    }


def _ours(task: rounds.Task, params: TrainingParams, seed: int) -> Answers:
    from fraud_ml.training.learn import learn

    answers, spent = [], 0.0
    for one in task.rounds:
        begin = time.process_time()
        seeded = params.model_copy(update={"seed": seed})
        chosen, trained = learn(one.first, one.validation, task.features, seeded, lambda _: None, whole=one.whole)
        spent += time.process_time() - begin
        best = trained[chosen]
        logits = best.model.logits(read_columns(one.test, best.inputs))
        answers.append(_sigmoid(best.calibration.slope * logits + best.calibration.intercept))
    return Answers(tuple(answers), spent)


def _theirs(task: rounds.Task, fit: peers.Fit, seed: int) -> Answers:
    answers, spent = [], 0.0
    for one in task.rounds:
        begin = time.process_time()
        early, inputs = (describe_inputs(frame, task.features) for frame in (one.first, one.whole))
        later = Examples.of(one.validation, early)
        calibration = fit_platt(fit(early, Examples.of(one.first, early), seed)(later.columns), later.labels)
        whole = Examples.of(one.whole, inputs)
        answer = fit(inputs, whole, seed)
        calibration = move_level(calibration, answer(whole.columns), whole.labels)
        spent += time.process_time() - begin
        logits = answer(read_columns(one.test, inputs))
        answers.append(_sigmoid(calibration.slope * logits + calibration.intercept))
    return Answers(tuple(answers), spent)


def _told(tasks: Sequence[rounds.Task], ours: Sequence[Answers]) -> Figures:
    """Return our figures, the median over seeds."""
    by_seed = [_figures(task, answers) for task, answers in zip(tasks, ours, strict=True)]
    names = {"average_precision": "ap"} | {name: name for name in by_seed[0] if name != "average_precision"}
    told = {
        short: Figure.median_of([one[name] for one in by_seed], _UNITS.get(name, "ratio"))
        for name, short in names.items()
    }
    told["ap"] = Figure(told["ap"].value, "ratio", told["ap"].runs, note=TRIED)
    if tasks[0].uneven:
        even = [
            np.mean([_figure(task, answers, part) for part in range(len(task.rounds)) if part not in task.uneven])
            for task, answers in zip(tasks, ours, strict=True)
        ]
        told["ap_without_uneven_rounds"] = Figure.median_of([float(value) for value in even], "ratio")
    return told


def _figures(task: rounds.Task, answers: Answers) -> dict[str, float]:
    wanted = ("average_precision", "roc_auc", "recall_at_5pct_fpr", "precision_at_1pct", "brier", "ece")
    by_round = [figures(scored) for scored in _scored(task, answers)]
    return {name: float(np.mean([one[name] for one in by_round if one[name] is not None])) for name in wanted}


def _scored(task: rounds.Task, answers: Answers) -> list[Scored]:
    labels = [one.test["label"].to_numpy() for one in task.rounds]
    if task.is_pooled:
        return [Scored.of(np.concatenate(labels), np.concatenate(answers.by_round))]
    return [Scored.of(label, answer) for label, answer in zip(labels, answers.by_round, strict=True)]


def _figure(task: rounds.Task, answers: Answers, part: int) -> float:
    return average_precision(task.rounds[part].test["label"].to_numpy(), answers.by_round[part])


def _ap(tasks: Sequence[rounds.Task], answers: Sequence[Answers], name: str) -> Figure:
    reached = [_figures(task, one)["average_precision"] for task, one in zip(tasks, answers, strict=True)]
    note = {
        "floor": "logistic regression",
        "boosted_trees": "one seed",
        "keras_tabular": "one seed",
        "toy": "a tutorial's network: one hidden layer, categories as numbers",
    }.get(name)
    return Figure.median_of(reached, "ratio", peer=name, note=note)


def _paired(tasks: Sequence[rounds.Task], ours: Sequence[Answers], theirs: Sequence[Answers]) -> Figure:
    """Return the lower bound of the difference; over several rounds, of each and then the mean."""
    lows = []
    distinct = len({id(task) for task in tasks}) > 1
    for group in [[number] for number in range(len(tasks))] if distinct else [list(range(len(tasks)))]:
        pair = []
        for answers in (ours, theirs):
            mean = [np.mean(part, axis=0) for part in zip(*(answers[n].by_round for n in group), strict=True)]
            pair.append(_scored(tasks[group[0]], Answers(tuple(mean), 0.0)))
        found = [
            paired_difference("average_precision", us, them, Resampling(1000, 0.95))
            for us, them in zip(*pair, strict=True)
        ]
        lows.append(float(np.mean([one.low for one in found if one is not None])))
    return Figure.median_of(lows, "ratio", peer="lightgbm", note="lower 95 % bound of the difference in AP")


def _bayes(tasks: Sequence[rounds.Task], ours: Sequence[Answers]) -> Figures:
    best = []
    for task in tasks:
        only = task.rounds[0]
        assert only.best is not None
        best.append(average_precision(only.test["label"].to_numpy(), only.best))
    reached = [_figure(task, answers, 0) for task, answers in zip(tasks, ours, strict=True)]
    return {
        "bayes_ap": Figure.median_of(best, "ratio", note="the observable columns' best, same claims"),
        "share_of_bayes_ap": Figure.median_of(
            [ap / top for ap, top in zip(reached, best, strict=True)], "ratio", peer="bayes_ap"
        ),
    }


def _leak() -> Figures:
    """Return what calendar and ids seem to be worth in a random split, and what they are worth out of time."""
    fit = peers.lightgbm(LEAKY)
    shown = {}
    for name, is_random in (("leaky_random_split_ap", True), ("leaky_out_of_time_ap", False)):
        task = rounds.carclaims_leak(random=is_random)
        reached = _figures(task, _theirs(task, fit, SEEDS[0]))["average_precision"]
        shown[name] = Figure(round(reached, 4), "ratio", peer="lightgbm", note="calendar and ids as features")
    return shown


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probability
