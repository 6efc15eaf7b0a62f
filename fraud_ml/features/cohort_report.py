"""A cohort for people: its figures, its claims without values, and pictures of both; equal cohorts, equal bytes.

The pictures show how labels mature, where recording stopped, and who is looked at.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.artifacts import save, whole_folder
from fraud_ml.features.cohort import Cohort
from fraud_ml.features.investigation import wilson
from fraud_ml.features.labels import LabelState
from fraud_ml.features.maturity import Curve

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

REPORT, CLAIMS = "cohort.json", "claims.parquet"
MATURITY, RECORDING, INVESTIGATION = "maturity.png", "recording.png", "investigation.png"
INK, PALE, ALARM = "#1f4e79", "#9db8d2", "#c0504d"


def write_cohort(cohort: Cohort, marked: "pd.DataFrame", folder: Path) -> None:
    """Afterwards `folder` holds cohort.json, claims.parquet and the drawn curves, all of this cohort."""
    with whole_folder(folder) as fresh:
        save(cohort, fresh / REPORT)
        marked.to_parquet(fresh / CLAIMS, index=False)
        draw(cohort, marked, fresh)


def draw(cohort: Cohort, marked: "pd.DataFrame", folder: Path) -> None:
    """Write the pictures into the existing `folder`; there is none of investigations where nothing is known of them."""
    _draw(folder / MATURITY, "Share of the final fraud known after k days", lambda axes: _maturity(cohort, axes))
    _draw(folder / RECORDING, "Confirmed fraud among mature claims, by event month", lambda axes: _shares(cohort, axes))
    if cohort.investigation is not None:
        title = "Propensity of being investigated, mature claims"
        _draw(folder / INVESTIGATION, title, lambda axes: _propensity(marked, axes))


def _draw(path: Path, title: str, paint: "Callable[[Axes], None]") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    paint(axes)
    figure.savefig(path, metadata={"Software": None})  # the writer's version is no property of the cohort


def _maturity(cohort: Cohort, axes: "Axes") -> None:
    complete = [month for month in cohort.months if month.is_complete and month.curve.frauds]
    for number, month in enumerate(complete):
        label = f"one event month ({len(complete)} complete ones)" if number == 0 else None
        axes.step(*_points(month.curve), where="post", color=PALE, linewidth=0.6, alpha=0.7, label=label)
    curve = cohort.maturity
    if curve.frauds:
        axes.step(*_points(curve), where="post", color=INK, label=f"all {curve.frauds:,} confirmed frauds")
        known = [(day, low, high) for day, low, high in zip(curve.days, curve.low, curve.high, strict=True)]
        days, low, high = np.array([point for point in known if point[1] is not None], dtype=float).reshape(-1, 3).T
        axes.fill_between(days, low, high, step="post", color=INK, alpha=0.2, label="95 % limits")
    if cohort.maturity_days:
        axes.axvline(cohort.maturity_days, color="grey", linestyle="--", label=f"maturity, {cohort.maturity_days} days")
    axes.set(xlabel="days after the event", ylabel="share of the final fraud", ylim=(0, 1.02), xlim=(0, None))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="lower right")


def _points(curve: Curve) -> tuple[list[float], list[float]]:
    return [0.0, *curve.days], [0.0, *curve.share]


def _shares(cohort: Cohort, axes: "Axes") -> None:
    for is_stopped, color, label in ((False, INK, "recorded"), (True, ALARM, "recording stopped")):
        places, shares, below, above = [], [], [], []
        for place, month in enumerate(cohort.months):
            mature = month.claims - month.states.get(LabelState.IMMATURE, 0)
            if not mature or month.recording_stopped is not is_stopped:
                continue
            share = wilson(month.states.get(LabelState.CONFIRMED, 0), mature)
            places.append(place)
            shares.append(share.value)
            below.append(share.value - share.low)
            above.append(share.high - share.value)
        if places:
            axes.errorbar(places, shares, yerr=[below, above], fmt="o", color=color, markersize=4, label=label)
    names = [month.month for month in cohort.months]
    shown = range(0, len(names), max(1, len(names) // 12))
    axes.set_xticks(list(shown), [names[place] for place in shown], rotation=45, fontsize=8)
    axes.set(ylabel="share of confirmed fraud, 95 % limits (Wilson)", ylim=(0, None))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _propensity(marked: "pd.DataFrame", axes: "Axes") -> None:
    known = marked[marked["propensity"].notna()]
    chance, looked = known["is_randomly_investigated"], known["is_investigated"]
    groups = (
        ("not looked at", ~looked, PALE),
        ("looked at by rule", looked & ~chance, INK),
        ("by chance", chance, ALARM),
    )
    for name, group, color in groups:
        if group.any():
            axes.hist(
                known.loc[group, "propensity"].to_numpy(),
                bins=np.linspace(0, 1, 41).tolist(),
                density=True,
                histtype="step",
                color=color,
                label=f"{name} ({int(group.sum()):,})",
            )
    axes.set(xlabel="propensity", ylabel="density", xlim=(0, 1))
    axes.legend(fontsize=8)
