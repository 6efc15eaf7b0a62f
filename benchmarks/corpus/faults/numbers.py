"""Numbers in another unit, far too large, noisy, rounded, or filled in by somebody."""

from typing import TYPE_CHECKING, Any

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RANGE = ("GX3", "GX4", "GX5", "TFDV006", "DATA13", "SENSE", "LAND012")
DRIFT = ("DATA13", "GX3", "GX4", "SENSE", "LAND012")


def _change(
    rows: "pd.DataFrame", column: str, share: float, dice: "np.random.Generator", change: Any
) -> "pd.DataFrame":
    """Apply `change` to the known numbers of a share of the rows."""
    hit = some(rows, share, dice)
    rows.loc[hit, column] = rows.loc[hit, column].map(lambda text: _spelled(change(float(text))) if text else "")
    return rows


def _spelled(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.6g}"


@family(
    why="cents were taken for euros: every amount is a hundred times what it was",
    severities={"all": 1.0, "a third": 0.33, "twentieth": 0.05, "few": 0.01},
    codes=RANGE,
    column="amounts",
)
def unit_times_100(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, amount, dice, lambda value: value * 100)


@family(
    why="thousands were written for units: amounts look small, and every limit in euro is passed",
    severities={"all": 1.0, "a third": 0.33, "twentieth": 0.05},
    codes=RANGE,
    column="amounts",
)
def unit_per_1000(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, amount, dice, lambda value: value / 1000)


@family(
    why="a typing error or a sentinel (999999) moves every mean, and a network's scaling with it",
    severities={"fiftieth": 0.02, "few": 0.005, "one": 0.0},
    codes=RANGE,
    column="numbers",
)
def outliers(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, amount, dice, lambda _: 99_999_999.0)


@family(
    why="a sign was lost or turned: what was asked for looks like what was given back",
    severities={"all": 1.0, "twentieth": 0.05, "few": 0.005},
    codes=RANGE,
    column="numbers",
)
def sign_turned(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, amount, dice, lambda value: -abs(value) or -1.0)


@family(
    why="the measurement became unreliable, though its mean is what it was",
    severities={"as wide again as the column": 1.0, "three times": 3.0},
    codes=(*DRIFT, "GX5", "DATA181"),
    column="numbers",
)
def noise(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    rows = scene.rows
    width = float(pd.to_numeric(rows[column]).std()) or 1.0
    return _change(rows, column, 1.0, dice, lambda value: round(value + dice.normal(0, amount * width), 2))


@family(
    why="an unknown number was filled in with one value, which a model takes for knowledge",
    severities={"third": 0.33, "tenth": 0.1},
    codes=(*DRIFT, "GX5"),
    column="measured",
)
def default_filled_in(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    middle = float(pd.to_numeric(scene.history[column]).median())
    return _change(scene.rows, column, amount, dice, lambda _: middle)


@family(
    why="zero was written where the value was not known",
    severities={"third": 0.33, "tenth": 0.1, "twentieth": 0.05},
    codes=(*DRIFT, "GX5", "GX1", "DATA111"),
    column="numbers",
)
def zero_for_unknown(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, amount, dice, lambda _: 0.0)


@family(
    why="not a number and infinity spread through every sum",
    severities={"tenth": 0.1, "one": 0.0},
    codes=("LAND001",),
    column="numbers",
)
def nan_and_infinity(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows.loc[some(rows, amount, dice), column] = str(dice.choice(["NaN", "inf", "-Infinity", "1e999"]))
    return rows


@family(
    why="the exporting program writes decimal commas: 1,50 is read as nothing, or as 150",
    severities={"all": 1.0, "few": 0.01},
    codes=("LAND001",),
    column="numbers",
)
def decimal_comma(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows[rows[column] != ""], amount, dice)
    rows.loc[hit, column] = rows.loc[hit, column].map(lambda text: f"{float(text):.2f}".replace(".", ","))
    return rows


@family(
    why="tariffs, prices or a form changed: what was learned from before holds less and less",
    severities={"by half": 1.5, "by a quarter": 1.25},
    codes=(*DRIFT, "GX5"),
    column="amounts",
    datasets=("handbook", "motor"),
)
def drift_sudden(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _change(scene.rows, column, 1.0, dice, lambda value: round(value * amount, 2))


@family(
    why="each month a little more, and no single month looks wrong",
    severities={"doubled over the delivery": 2.0, "half more over the delivery": 1.5},
    codes=(*DRIFT, "GX5"),
    column="amounts",
    datasets=("handbook", "motor"),
)
def drift_slow(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """The factor grows evenly from 1 in the first row to `amount` in the last."""
    import numpy as np

    rows = scene.rows
    factors = np.linspace(1, amount, len(rows))
    rows[column] = [_spelled(float(text) * by) if text else "" for text, by in zip(rows[column], factors, strict=True)]
    return rows
