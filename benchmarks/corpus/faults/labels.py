"""Labels that stopped, turned, were spelled anew, or were told by another column."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@family(
    why="fraud and not fraud were exchanged: the model would learn to trust what it should doubt",
    severities={"all": 1.0, "a quarter": 0.25},
    codes=("GX4", "DATA17", "DATA181", "SENSE"),
)
def labels_swapped(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _swapped(scene, amount, dice)


@family(
    why="a few labels were exchanged: where another column tells the outcome too, they contradict it",
    severities={"twentieth": 0.05},
    codes=("GX4", "DATA17", "DATA181", "SENSE"),
    datasets=("handbook", "motor"),  # carclaims tells it once, and its months differ by more than this
)
def few_labels_swapped(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _swapped(scene, amount, dice)


def _swapped(scene: Scene, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows, line = scene.rows, scene.line
    told = rows[rows[line.label].isin([line.positive, line.negative])]
    hit = some(told, amount, dice)
    rows.loc[hit, line.label] = rows.loc[hit, line.label].map(
        {line.positive: line.negative, line.negative: line.positive}
    )
    return rows


@family(
    why="no label arrived: silence would be learned as honesty, or the claims not at all",
    severities={"all": 1.0, "half": 0.5},
    codes=("GX4", "GX1", "DATA171", "DATA111", "DATA172", "SENSE", "DATA181"),
)
def labels_missing(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows, line = scene.rows, scene.line
    told = rows[rows[line.label] != ""]
    rows.loc[some(told, amount, dice), line.label] = ""
    return rows


@family(
    why="recording stopped and everybody looks honest: the calendar would be learned instead of fraud",
    severities={"no fraud at all": 1.0, "nine in ten lost": 0.9},
    codes=("GX4", "DATA172", "DATA171", "SENSE", "DATA181"),
)
def label_outage(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows, line = scene.rows, scene.line
    frauds = rows[rows[line.label] == line.positive]
    if len(frauds):
        rows.loc[some(frauds, amount, dice), line.label] = line.negative
    return rows


@family(
    why="a spelling of the label that nobody explained is neither fraud nor not",
    severities={"all": 1.0, "one": 0.0},
    codes=("DATA005", "GX4"),
)
def labels_respelled(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows, line = scene.rows, scene.line
    told = rows[rows[line.label] != ""]
    hit = some(told, amount, dice)
    rows.loc[hit, line.label] = rows.loc[hit, line.label].map({line.positive: "Y", line.negative: "N"})
    return rows


@family(
    why="a column was filled in after somebody looked: it tells the answer, and at the time of a claim it is not there",
    severities={"always": 1.0, "nine times in ten": 0.9},
    codes=("DATA175", "DATA112", "DATA12"),
    column="leaky",
)
def label_in_a_feature(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Frauds get one value of the column, and nobody else does."""
    rows, line = scene.rows, scene.line
    is_fraud = rows[line.label] == line.positive
    values = rows[column].value_counts().index
    tell, other = values[min(1, len(values) - 1)], values[0]
    follows = dice.random(len(rows)) < amount
    rows.loc[is_fraud & follows, column] = tell
    rows.loc[~is_fraud & (rows[column] == tell) & follows, column] = other
    return rows
