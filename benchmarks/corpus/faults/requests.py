"""Callers that ask the live model about other claims than it learned from; the snapshot itself is sound.

Each takes the claims that callers ask about, as a scorer reads them, and returns those that they ask about instead.
"""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import Level, family, some

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@family(
    why="callers do not send a column, or not all of them: the model guesses what it could know",
    severities={"never sent": 1.0, "lacking in one of twenty": 0.05},
    codes=("DATA191",),
    column="asked",
    level=Level.REQUESTS,
)
def column_unsent(asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    asked.loc[some(asked, amount, dice), column] = None
    return asked


@family(
    why="callers write a category in another way than the claims do: to the model it is a word it never saw",
    severities={"all": 1.0, "one in twenty": 0.05},
    codes=("DATA192",),
    column="asked_words",
    level=Level.REQUESTS,
)
def words_spelled_otherwise(
    asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator"
) -> "pd.DataFrame":
    hit = some(asked, amount, dice)
    asked.loc[hit, column] = asked.loc[hit, column].str.swapcase() + " "
    return asked


@family(
    why="callers ask mostly about one kind of claims: the model answers where it learned little",
    severities={"a third": 0.33, "one in five": 0.20},
    codes=("DATA193", "DATA192"),
    column="asked_words",
    level=Level.REQUESTS,
)
def one_kind_asked(asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    asked.loc[some(asked, amount, dice), column] = asked[column].value_counts().index[1]
    return asked


@family(
    why="callers send a number in another unit: cents, months, thousands",
    severities={"a hundredfold": 100.0, "a thousandth": 0.001},
    codes=("DATA195",),
    column="asked_numbers",
    level=Level.REQUESTS,
)
def unit_asked(asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    asked[column] *= amount
    return asked


@family(
    why="callers' numbers are others than those of claims: before tax, or before an excess was taken off",
    severities={"half as much again": 1.5},
    codes=("DATA194", "DATA195"),
    column="asked_numbers",
    level=Level.REQUESTS,
)
def numbers_asked_higher(
    asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator"
) -> "pd.DataFrame":
    asked[column] *= amount
    return asked


@family(
    why="callers fill in a number where they know none: the model takes it for one",
    severities={"one in three": 0.33, "one in ten": 0.10},
    codes=("DATA194",),
    column="asked_numbers",
    level=Level.REQUESTS,
)
def number_filled_in(asked: "pd.DataFrame", column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    asked.loc[some(asked, amount, dice), column] = float(asked[column].max())
    return asked
