"""Times as text, in another calendar or zone, in the future, in 1970, or without their hour."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SPELLINGS = ("%d/%m/%Y %H:%M", "%b %d %Y", "%Y%m%d")


def _moments(rows: "pd.DataFrame", column: str) -> "pd.Series":
    import pandas as pd

    return pd.to_datetime(rows[column])


@family(
    why="31/12/2024 is a date to a person, and text to everything that orders by it",
    severities={"all": 1.0, "few": 0.01},
    codes=("LAND001",),
    column="times",
)
def dates_as_text(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = _moments(rows.loc[hit], column).dt.strftime(str(dice.choice(SPELLINGS)))
    return rows


@family(
    why="the month or year is spelled in another way, and the claim has no place in time",
    severities={"all": 1.0, "few": 0.01},
    codes=("LAND003",),
    datasets=("carclaims",),
)
def months_spelled_otherwise(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    spelled = {"Jun": "06", "Jul": "07", "Aug": "08"}
    rows.loc[hit, "Month"] = rows.loc[hit, "Month"].map(lambda month: spelled.get(month, f"{month}."))
    return rows


@family(
    why="a claim that has not happened yet is a typing error or an invention",
    severities={"all": 1.0, "tenth": 0.1, "one": 0.0},
    codes=("LAND005", "LAND006", "SENSE", "GX3"),
    column="times",
)
def dates_in_the_future(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = (_moments(rows.loc[hit], column) + pd.Timedelta(days=400)).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return rows


@family(
    why="1970-01-01 is what a missing time becomes when a program counts seconds from there",
    severities={"all": 1.0, "tenth": 0.1, "few": 0.005},
    codes=("DATA15", "GX3", "SENSE", "LAND005", "LAND008"),
    column="times",
)
def dates_of_1970(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows.loc[some(rows, amount, dice), column] = "1970-01-01T00:00:00"
    return rows


@family(
    why="day and month are exchanged where both are at most twelve: half of the claims lie in other months",
    severities={"all": 1.0, "tenth": 0.1},
    codes=("LAND005", "LAND006", "DATA15", "SENSE", "GX3", "DATA101", "LAND009"),
    column="times",
)
def day_and_month_exchanged(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    at = _moments(rows, column)
    hit = some(rows[at.dt.day <= 12], amount, dice)
    rows.loc[hit, column] = at.loc[hit].dt.strftime("%Y-%d-%mT%H:%M:%S")
    return rows


@family(
    why="part of the source counts in another zone: what happened before midnight lies on the next day",
    severities={"half": 0.5, "few": 0.01},
    codes=("LAND007",),
    column="times",
)
def mixed_time_zones(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """The same instants, some of them written with another offset."""
    import pandas as pd

    rows = scene.rows
    hit = some(rows, amount, dice)
    there = _moments(rows.loc[hit], column) + pd.Timedelta(hours=9)
    rows.loc[hit, column] = there.dt.strftime("%Y-%m-%dT%H:%M:%S+09:00")
    return rows


@family(
    why="the hour is gone: everything that looks at nights, or at what came first, looks at nothing",
    severities={"all": 1.0},
    codes=("DATA15", "SENSE", "GX3", "LAND005", "LAND008", "DATA13"),
    column="times",
)
def hour_lost(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows[column] = rows[column].str[:10]
    return rows


@family(
    why="a clock or a year was set wrongly: the claims are of another time than they say",
    severities={"a year early": 365, "ten years early": 3653},
    codes=("DATA15", "GX3", "SENSE", "LAND", "DATA101", "DATA161"),
    column="times",
)
def clock_set_back(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    rows = scene.rows
    rows[column] = (_moments(rows, column) - pd.Timedelta(days=amount)).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return rows
