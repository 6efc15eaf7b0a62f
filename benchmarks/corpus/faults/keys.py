"""Keys that are missing, shared, damaged, reused, unknown, or in an order that tells the answer."""

from calendar import month_abbr
from typing import TYPE_CHECKING

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@family(
    why="a claim without a name can be neither corrected nor explained",
    severities={"tenth": 0.1, "one": 0.0},
    codes=("LAND002",),
)
def key_missing(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows.loc[some(rows, amount, dice), scene.line.key] = ""
    return rows


@family(
    why="two claims share a name, and one of them would vanish",
    severities={"tenth": 0.1, "one": 0.0},
    codes=("LAND008",),
)
def key_shared(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """The hit rows get key and times of another row, and keep the rest."""
    rows = scene.rows
    hit = some(rows, amount, dice)
    others = dice.choice([row for row in rows.index if row not in set(hit)], len(hit))
    same = [scene.line.key, *scene.line.times, *(["Year", "Month", "WeekOfMonth"] if not scene.line.times else [])]
    rows.loc[hit, same] = rows.loc[others, same].to_numpy()
    if not scene.line.numbers:
        return rows
    rows.loc[hit, scene.line.numbers[0]] = "77"
    return rows


@family(
    why="a join with several matches wrote each claim once for each of them, every time a little different",
    severities={"all three times": 1.0, "tenth twice": 0.1},
    codes=("LAND008", "DATA161"),
    column="fanned",
)
def join_fan_out(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    rows = scene.rows
    again = rows.loc[some(rows, amount, dice)]
    copies = [
        again.assign(**{column: dice.permutation(again[column].to_numpy())}) for _ in range(2 if amount == 1 else 1)
    ]
    return pd.concat([rows, *copies], ignore_index=True)


@family(
    why="a counter was set back: new claims are taken for corrections of those that had the numbers, which vanish",
    severities={"all": 1.0, "half": 0.5},
    codes=("DATA101", "DATA16", "DATA15", "LAND009", "DATA"),
)
def key_reused(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    history = scene.history
    if not scene.line.times:  # its keys are not quite in order of time
        months = {name: number for number, name in enumerate(month_abbr)}
        history = history.sort_values(["Year", "Month"], key=lambda part: part.map(lambda one: months.get(one, one)))
    old = history[scene.line.key].drop_duplicates().to_numpy()[-len(hit) :]
    rows.loc[hit[: len(old)], scene.line.key] = old
    return rows


@family(
    why="a spreadsheet took the key for a number: leading zeros are gone, or it ends in E+05",
    severities={"all": 1.0, "few": 0.01},
    codes=("GX3", "DATA146", "DATA121", "DATA126", "LAND008", "LAND009", "DATA004"),
    column="names",
)
def key_as_a_number(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = rows.loc[hit, column].map(
        lambda key: f"{float(key):.5E}" if key.isdigit() else key.replace("-0", "-").replace("00", "0")[:-1]
    )
    return rows


@family(
    why="what the key points to is not there: the customer, the garage or the policy was never seen",
    severities={"all": 1.0, "tenth": 0.1},
    codes=("DATA121", "DATA146", "DATA12", "SENSE", "DATA16"),
    column="foreign",
)
def orphan_keys(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = [
        f"{key[:1] if not key[:1].isdigit() else ''}{900_000 + number}"
        for number, key in enumerate(rows.loc[hit, column])
    ]
    return rows


@family(
    why="the export was sorted by the answer before it was numbered: the key tells who is a fraud",
    severities={"all": 1.0},
    codes=("DATA174",),
    datasets=("carclaims", "handbook"),  # motor's log tells states of claims that have their keys already
)
def sorting_leak(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Give the labelled rows their keys anew, in the order of their labels."""
    rows, line = scene.rows, scene.line
    told = rows[rows[line.label].isin([line.positive, line.negative])]
    keys = sorted(told[line.key], key=lambda key: (len(key), key))
    rows.loc[told.sort_values(line.label, kind="stable").index, line.key] = keys
    return rows
