"""Cells that hold nothing, a word for nothing, or a word that nobody declared."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import family, some
from benchmarks.corpus.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def _put(rows: "pd.DataFrame", column: str, share: float, dice: "np.random.Generator", word: str) -> "pd.DataFrame":
    rows.loc[some(rows, share, dice), column] = word
    return rows


KNOWN = ("GX1", "TFDV003", "DATA")
DOMAIN = ("GX2", "GX3", "TFDV005", "DATA")
SHARES = {"all": 1.0, "third": 0.3, "twentieth": 0.05}
NO_CHANCE = 30  # rows of a category that no clean delivery of the same size goes without


@family(
    why="a feature that is not known teaches nothing, and its absence may mean something else than before",
    severities=SHARES,
    codes=KNOWN,
    column="categories",
)
def nulls_in_category(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, "")


@family(why="means over what is left are of other claims than before", severities=SHARES, codes=KNOWN, column="numbers")
def nulls_in_number(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, "")


@family(
    why="a blank is a value of its own to a model, and to nobody else",
    severities={"all": 1.0, "twentieth": 0.05, "few": 0.005},
    codes=DOMAIN,
    column="texts",
)
def blank_strings(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, " ")


@family(
    why="a question mark means that somebody did not know, not that it is a kind of its own",
    severities={"third": 0.3, "twentieth": 0.05, "few": 0.005},
    codes=DOMAIN,
    column="texts",
)
def question_marks(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, "?")


@family(
    why="the exporting program spells what is not known; read as a value it becomes a category",
    severities={"third": 0.3, "twentieth": 0.05, "few": 0.005},
    codes=DOMAIN,
    column="texts",
)
def na_words(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, str(dice.choice(["n/a", "NULL", "None", "N/A", "-", "unknown"])))


@family(
    why="a number cannot be computed with when it is a word",
    severities={"all": 1.0, "few": 0.01, "one": 0.0},
    codes=("LAND001",),
    column="numbers",
)
def words_for_numbers(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(
        scene.rows, column, amount, dice, str(dice.choice(["twelve", "n/a", "?", "1.234,50", "12 EUR", "1,234"]))
    )


@family(
    why="a code that was a number on its way (1 became 1.0) is another category",
    severities={"all": 1.0, "twentieth": 0.05, "few": 0.005},
    codes=("LAND001", "LAND003", "GX2", "GX3", "TFDV005", "DATA"),
    column="codes",
)
def codes_as_floats(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = rows.loc[hit, column] + ".0"
    return rows


@family(
    why="one category became two, and the model knows one of them",
    severities={"all of it": 1.0, "half of it": 0.5, "a tenth of it": 0.1},
    codes=DOMAIN,
    column="categories",
)
def category_renamed(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    value = rows[column].value_counts().index[int(dice.integers(2))]
    of_it = rows[rows[column] == value]
    rows.loc[some(of_it, amount, dice), column] = value.swapcase()
    return rows


@family(
    why="two kinds of claims became one: what told them apart is lost",
    severities={"largest into second": 0, "third into first": 2},
    codes=("DATA",),
    column="categories",
)
def category_merged(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """The third goes into the first unless chance might have kept it away: then the second does.

    Of carclaims' divorced, one claim in two hundred, five to seven are among a quarter's thousand: in two to seven of a
    thousand clean quarters there is none, and some hundred categories as rare are looked at. Nobody can tell their
    merger from such a quarter; of thirty rows none is left by chance once in 10^13.
    """
    rows = scene.rows
    counts = rows[column].value_counts()
    largest, second, third = counts.index[0], counts.index[1], counts.index[min(2, len(counts) - 1)]
    if not amount:
        return rows.replace({column: {largest: second}})
    return rows.replace({column: {third if counts[third] >= NO_CHANCE else second: largest}})


@family(
    why="no model has seen this kind of claim",
    severities={"fifth": 0.2, "fiftieth": 0.02, "few": 0.005},
    codes=DOMAIN,
    column="categories",
)
def category_unseen(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return _put(scene.rows, column, amount, dice, "hovercraft")


@family(
    why="a column that always says the same tells nothing, and its source has stopped working",
    severities={"one value": 1.0, "nearly": 0.95},
    codes=("DATA", "GX4"),
    column="categories",
)
def constant_column(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    return _put(rows, column, amount, dice, rows[column].value_counts().index[0])


@family(
    why="a padded word is another word",
    severities={"all": 1.0, "twentieth": 0.05, "few": 0.005},
    codes=DOMAIN,
    column="texts",
)
def trailing_spaces(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = rows.loc[hit, column] + " "
    return rows
