"""Values that are each right, in shares or company in which they never came before."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DRIFT = ("DATA12", "DATA112", "DATA131")


@family(
    why="one kind of claims replaced the others: another book of business, or a filter left on",
    severities={"only one kind": 1.0, "half of the others gone": 0.5},
    codes=(*DRIFT, "DATA101", "DATA161", "GX"),
    column="categories",
)
def skewed_sample(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Rows of other kinds than the second largest are lost; rows of that kind are drawn again under new keys."""
    import pandas as pd

    rows = scene.rows
    kind = rows[column].value_counts().index[1]
    others = rows[rows[column] != kind]
    lost = some(others, amount, dice)
    again = rows[rows[column] == kind].sample(len(lost), replace=True, random_state=int(dice.integers(1 << 31)))
    key = scene.line.key
    again = again.assign(**{key: rows.loc[lost, key].to_numpy()})
    return pd.concat([rows.drop(index=lost), again], ignore_index=True)


@family(
    why="the values of one column belong to other claims: each looks right, none says anything",
    severities={"all": 1.0},
    codes=("DATA181", "SENSE"),
    column="tied",
)
def column_shuffled(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows[column] = dice.permutation(rows[column].to_numpy())
    return rows


@family(
    why="one column slipped by a row: each value stands beside the claim before it",
    severities={"by one row": 1},
    codes=("DATA181", "SENSE"),
    column="tied",
)
def column_slipped(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows[column] = [*rows[column].iloc[1:], rows[column].iloc[0]]
    return rows


@family(
    why="yes means no: a form or its export turned the answer round",
    severities={"all": 1.0, "a third": 0.33},
    codes=(*DRIFT, "DATA181"),
    column="flags",
)
def answers_turned(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    values = rows[column].value_counts().index[:2]
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = rows.loc[hit, column].replace({values[0]: values[1], values[1]: values[0]})
    return rows
