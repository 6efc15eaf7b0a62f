"""Too few rows, too many, none, or those of another time."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import Level, family, some
from benchmarks.corpus.scenes import File, Scene, as_csv

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

VOLUME = ("DATA101",)
READ = ("LAND013",)


@family(
    why="half of the claims are missing, and nobody says which half",
    severities={"nothing but a few": 0.02, "a quarter": 0.25, "four tenths": 0.4},
    codes=VOLUME,
)
def volume_lost(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return scene.rows.loc[some(scene.rows, amount, dice)]


@family(
    why="an export was cut off: the last days are missing",
    severities={"after a tenth": 0.1, "after four tenths": 0.4},
    codes=VOLUME,
)
def cut_off_at_a_row(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return scene.rows.iloc[: max(1, int(amount * len(scene.rows)))]


@family(
    why="an export ran twice under new numbers: each claim counts double",
    severities={"three times": 2.0, "once more": 1.0, "a tenth again": 0.1},
    codes=("DATA101", "DATA161"),
)
def same_claims_under_new_keys(
    scene: Scene, column: None, amount: float, dice: "np.random.Generator"
) -> "pd.DataFrame":
    import pandas as pd

    rows = scene.rows
    parts = [rows]
    for turn in range(max(1, int(amount))):
        again = rows if amount >= 1 else rows.loc[some(rows, amount, dice)]
        parts.append(again.assign(**{scene.line.key: _new_keys(again[scene.line.key], turn)}))
    return pd.concat(parts, ignore_index=True)


def _new_keys(keys: "pd.Series", turn: int) -> "pd.Series":
    """Keys of nearly the same form that nobody has: a digit before the number, or other last ones."""
    return (
        str(turn + 1) + keys.str.zfill(keys.str.len().max())
        if keys.iloc[0].isdigit()
        else keys.str[:-4]
        + keys.str[-4:].map(
            {key: f"{number + 10_000 * (turn + 1):04x}"[-5:] for number, key in enumerate(keys.str[-4:].unique())}
        )
    )


@family(
    why="far more claims than ever: a join gone wrong, a test system, or another company's",
    severities={"five times": 5, "two and a half times": 2.5},
    codes=("DATA101", "DATA161", "DATA181"),
)
def volume_multiplied(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Each further row is drawn column by column from the delivery: new claims, none of them a copy."""
    import pandas as pd

    rows = scene.rows
    more = rows.sample(int((amount - 1) * len(rows)), replace=True, random_state=int(dice.integers(1 << 31)))
    more = more.reset_index(drop=True)
    for name in (*scene.line.numbers, *scene.line.categories):
        more[name] = dice.permutation(more[name].to_numpy())
    key = scene.line.key
    more[key] = [
        f"9{number:0{len(value)}d}" if value.isdigit() else f"{value[:-6]}9{number:05d}"
        for number, value in enumerate(more[key])
    ]
    return pd.concat([rows, more], ignore_index=True)


@family(
    why="nothing was exported, and a job that ends well says it was",
    severities={"no byte": 0, "a header only": 1, "blank lines": 2},
    codes=READ,
    level=Level.FILE,
)
def empty_file(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    return File("delivery.csv", (b"", as_csv(scene.rows.head(0)).content, b"\n\n\n")[int(amount)])


@family(
    why="last time's file came again under a new name: the snapshot is as old as the last one",
    severities={"all": 1.0},
    codes=("DATA101", "DATA102", "DATA15"),
)
def other_months_file(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return scene.history.tail(len(scene.arriving))


@family(
    why="one month of the delivery is missing between others",
    severities={"the middle month": 1},
    codes=("DATA101",),
    datasets=("carclaims",),
)
def month_missing(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    months = list(dict.fromkeys(rows["Month"]))
    return rows[rows["Month"] != sorted(months, key="JanFebMarAprMayJunJulAugSepOctNovDec".find)[1]]


@family(
    why="the month before was delivered again, under new numbers and this month's dates",
    severities={"all": 1.0},
    codes=("DATA162",),
    datasets=("carclaims", "handbook"),  # motor's deliveries tell states of claims of many months
)
def month_again_as_another(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """The first month that arrives holds what the last one of the history held."""
    import pandas as pd

    rows, line = scene.rows, scene.line
    if not line.times:  # a month and its week stand in columns of their own
        first = pd.Timestamp(scene.before) + pd.Timedelta(days=1)
        mine = _in_month(rows, first)
        again = scene.history[_in_month(scene.history, pd.Timestamp(scene.before))]
        again = again.assign(Month=f"{first:%b}", Year=f"{first:%Y}")
    else:
        mine = pd.Series(True, index=rows.index)
        at = _times(scene.history)
        first = pd.Timestamp(scene.before).replace(day=1)
        before, at = scene.history[at >= first], at[at >= first]
        latest = pd.Timestamp(scene.as_of) + pd.Timedelta(hours=23, minutes=17)
        shifted = [min(one + pd.DateOffset(months=1), latest) for one in at]
        again = before.assign(**{line.times[0]: [f"{one:%Y-%m-%dT%H:%M:%S}" for one in shifted]})
    top = max(int(key) for key in [*scene.history[line.key], *rows[line.key]])  # keys are not quite in order of time
    again = again.assign(**{line.key: [str(top + 1 + number) for number in range(len(again))]})
    return pd.concat([rows[~mine], again], ignore_index=True)


def _in_month(rows: "pd.DataFrame", day: "pd.Timestamp") -> "pd.Series":
    return (rows["Month"] == f"{day:%b}") & (rows["Year"] == f"{day:%Y}")


def _times(rows: "pd.DataFrame") -> "pd.Series":
    import pandas as pd

    return pd.to_datetime(rows["TX_DATETIME"])
