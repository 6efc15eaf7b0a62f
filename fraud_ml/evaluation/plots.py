"""The pictures of a candidate on its test window, and the tables behind them for `dvc plots`.

Tables are small CSV files below plots/ (never a claim a row), pictures PNG files of the same names. Equal figures give
equal bytes.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.evaluation.metrics import CALIBRATION_BINS, Scored
from fraud_ml.evaluation.threshold import Chosen, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT = "#1f4e79", "#9db7d1"
FOLDER = "plots"
POINTS = 200  # of a curve, at most
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Rows = Sequence[Mapping[str, Any]]
Paint = Callable[["Axes", Rows], None]


def write_plots(evaluation: Evaluation, chosen: Chosen, curve: Sequence[Point], folder: Path) -> dict[str, Path]:
    """Write tables and pictures into `folder`/plots; return the pictures by title."""
    (folder / FOLDER).mkdir()
    scored = evaluation.scored
    pictures = {}
    for name, title, rows, paint in (
        ("precision_recall", "Precision over recall", _precision_recall(scored), _paint_precision_recall(scored)),
        ("roc", "Frauds found over honest claimants bothered", _roc(scored), _paint_roc),
        ("calibration", "Said and seen, tenths of the window", _calibration(scored), _paint_calibration),
        ("gain", "Frauds found over claims investigated", _gain(scored), _paint_gain),
        ("cost", "Saving over threshold, EUR", _cost(curve), _paint_cost(chosen)),
        ("confusion", "At the threshold", _confusion(scored, chosen), _paint_confusion),
        ("score_by_month", "Probabilities by month", _by_month(evaluation), _paint_by_month),
    ):
        _write_table(folder / FOLDER / f"{name}.csv", rows)
        pictures[title] = folder / FOLDER / f"{name}.png"
        _draw(pictures[title], title, rows, paint)
    return pictures


# --- the tables -----------------------------------------------------------------------------------------------------


def _places(scored: Scored) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frauds and honest claims down to at most POINTS places of the ranking, the last one included."""
    frauds, honest = (part[0] for part in scored.ranking.counts())
    kept = np.unique(np.geomspace(1, len(frauds), POINTS).round().astype(int)) - 1
    return frauds[kept], honest[kept]


def _precision_recall(scored: Scored) -> Rows:
    frauds, honest = _places(scored)
    precision = frauds / (frauds + honest)
    return _rows(recall=frauds / frauds[-1], precision=precision)


def _roc(scored: Scored) -> Rows:
    frauds, honest = (np.r_[0.0, part] for part in _places(scored))
    return _rows(false_positive_rate=honest / honest[-1], recall=frauds / frauds[-1])


def _calibration(scored: Scored) -> Rows:
    groups = [scored.bins == group for group in range(CALIBRATION_BINS)]
    kept = [inside for inside in groups if inside.any()]
    return _rows(
        said=np.array([scored.probabilities[inside].mean() for inside in kept]),
        seen=np.array([scored.labels[inside].mean() for inside in kept]),
    )


def _gain(scored: Scored) -> Rows:
    frauds, honest = (np.r_[0.0, part] for part in _places(scored))
    return _rows(investigated=(frauds + honest) / len(scored.labels), found=frauds / frauds[-1])


def _cost(curve: Sequence[Point]) -> Rows:
    names = ("threshold", "flagged_per_day", "honest_bothered", "expected_saving_eur", "saving_eur", "low", "high")
    return [{name: getattr(point, name) for name in names} for point in curve]


def _confusion(scored: Scored, chosen: Chosen) -> Rows:
    flagged, fraud = scored.probabilities >= chosen.at, scored.labels == 1
    return [
        {"outcome": name, "claims": int(found.sum())}
        for name, found in (
            ("fraud, flagged", flagged & fraud),
            ("fraud, missed", ~flagged & fraud),
            ("honest, flagged", flagged & ~fraud),
            ("honest, left alone", ~flagged & ~fraud),
        )
    ]


def _by_month(evaluation: Evaluation) -> Rows:
    months, probabilities = evaluation.circumstances.months, evaluation.scored.probabilities
    rows = []
    for month in sorted(set(months)):
        inside = months == month
        found = np.quantile(probabilities[inside], QUANTILES)
        quantiles = {f"q{round(100 * q):02d}": _short(value) for q, value in zip(QUANTILES, found, strict=True)}
        rows.append(
            {
                "month": month,
                "claims": int(inside.sum()),
                **quantiles,
                "said": _short(probabilities[inside].mean()),
                "seen": _short(evaluation.scored.labels[inside].mean()),
            }
        )
    return rows


def _rows(**columns: NDArray[np.float64]) -> Rows:
    return [dict(zip(columns, map(_short, values), strict=True)) for values in zip(*columns.values(), strict=True)]


def _short(value: float) -> float:
    return round(float(value), 6)


def _write_table(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# --- the pictures ---------------------------------------------------------------------------------------------------


def _draw(path: Path, title: str, rows: Rows, paint: Paint) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.16, 0.16, 0.79, 0.74))
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    paint(axes, rows)
    figure.savefig(path, metadata={"Software": None})  # the writer's version is no property of the model


def _column(rows: Rows, name: str) -> list[Any]:
    return [np.nan if row[name] is None else row[name] for row in rows]


def _paint_precision_recall(scored: Scored) -> Paint:
    def paint(axes: "Axes", rows: Rows) -> None:
        axes.step(_column(rows, "recall"), _column(rows, "precision"), where="post", color=INK, label="candidate")
        axes.axhline(scored.labels.mean(), color="grey", linestyle="--", label="by chance")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
        axes.legend()

    return paint


def _paint_roc(axes: "Axes", rows: Rows) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.plot(_column(rows, "false_positive_rate"), _column(rows, "recall"), color=INK)
    axes.axvline(0.05, color=SOFT, linestyle=":")
    axes.set(xlabel="honest claimants bothered", ylabel="recall", xlim=(0, 1), ylim=(0, 1))


def _paint_calibration(axes: "Axes", rows: Rows) -> None:
    said, seen = _column(rows, "said"), _column(rows, "seen")
    far = max(1.05 * max(*said, *seen), 1e-3)
    axes.plot([0, far], [0, far], color="grey", linestyle="--", label="said = seen")
    axes.plot(said, seen, marker="o", color=INK, label="candidate")
    axes.set(xlabel="mean probability", ylabel="share of confirmed fraud", xlim=(0, far), ylim=(0, far))
    axes.legend()


def _paint_gain(axes: "Axes", rows: Rows) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.plot(_column(rows, "investigated"), _column(rows, "found"), color=INK)
    axes.set(xlabel="share of claims investigated", ylabel="share of frauds found", xlim=(0, 1), ylim=(0, 1))


def _paint_cost(chosen: Chosen) -> Paint:
    def paint(axes: "Axes", rows: Rows) -> None:
        at = _column(rows, "threshold")
        axes.fill_between(at, _column(rows, "low"), _column(rows, "high"), color=SOFT, alpha=0.5, label="interval")
        axes.plot(at, _column(rows, "saving_eur"), color=INK, label="saved")
        axes.plot(at, _column(rows, "expected_saving_eur"), color=INK, linestyle=":", label="expected")
        axes.axhline(0, color="grey", linewidth=0.8)
        if chosen.threshold is not None:
            axes.axvline(chosen.threshold, color="#b00020", linestyle="--", label="chosen")
        axes.set(xlabel="threshold")
        axes.tick_params(axis="y", labelsize=7)
        axes.legend(fontsize=8)

    return paint


def _paint_confusion(axes: "Axes", rows: Rows) -> None:
    counts = np.array(_column(rows, "claims")).reshape(2, 2)
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1.5)
    axes.grid(visible=False)
    for row, column in np.ndindex(2, 2):
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
    axes.set_xticks([0, 1], ["flagged", "left alone"])
    axes.set_yticks([0, 1], ["fraud", "honest"])


def _paint_by_month(axes: "Axes", rows: Rows) -> None:
    at = np.arange(len(rows))
    axes.fill_between(at, _column(rows, "q05"), _column(rows, "q95"), color=SOFT, alpha=0.4, label="5 to 95 %")
    axes.plot(at, _column(rows, "said"), color=INK, label="mean probability")
    axes.plot(at, _column(rows, "seen"), color="#b00020", linestyle="--", label="confirmed fraud")
    axes.set_xticks(at, _column(rows, "month"), rotation=60, fontsize=7)
    axes.legend(fontsize=8)
