"""Two pictures of a candidate on its test window; equal figures give equal bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.evaluation.metrics import CALIBRATION_BINS, Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PRECISION_RECALL = "precision_recall.png"
CALIBRATION = "calibration.png"
INK = "#1f4e79"


def draw(scored: Scored, folder: Path) -> None:
    """Write both pictures into the existing `folder`."""
    _draw(folder / PRECISION_RECALL, "Precision over recall, test window", lambda axes: _precision_recall(scored, axes))
    _draw(folder / CALIBRATION, "Said and seen, tenths of the test window", lambda axes: _calibration(scored, axes))


def _draw(path: Path, title: str, paint: "Callable[[Axes], None]") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    paint(axes)
    figure.savefig(path, metadata={"Software": None})  # the writer's version is no property of the model


def _precision_recall(scored: Scored, axes: "Axes") -> None:
    frauds, honest = (part[0] for part in scored.ranking.counts())
    axes.step(frauds / frauds[-1], frauds / (frauds + honest), where="post", color=INK, label="candidate")
    axes.axhline(scored.labels.mean(), color="grey", linestyle="--", label="by chance")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.legend()


def _calibration(scored: Scored, axes: "Axes") -> None:
    groups = [scored.bins == group for group in range(CALIBRATION_BINS)]
    said = [scored.probabilities[inside].mean() for inside in groups if inside.any()]
    seen = [scored.labels[inside].mean() for inside in groups if inside.any()]
    far = 1.05 * max(*said, *seen)
    axes.plot([0, far], [0, far], color="grey", linestyle="--", label="said = seen")
    axes.plot(np.array(said), np.array(seen), marker="o", color=INK, label="candidate")
    axes.set(xlabel="mean probability", ylabel="share of confirmed fraud", xlim=(0, far), ylim=(0, far))
    axes.legend()
