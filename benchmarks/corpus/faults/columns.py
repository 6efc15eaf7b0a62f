"""Columns that are missing, renamed, exchanged, added, repeated or unnamed."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import Level, family
from benchmarks.corpus.scenes import File, Scene, as_csv

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

READ = ("LAND013",)


@family(
    why="a model that was fitted with the column would be served without it",
    severities={"five": 5, "one": 1},
    codes=READ,
)
def column_missing(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    return scene.rows.drop(
        columns=dice.choice(scene.contract.names, int(min(amount, len(scene.contract.names) - 2)), replace=False)
    )


@family(
    why="the column is there, but nothing that reads it by name finds it",
    severities={"all in capitals": -1, "one renamed": 1, "one padded with a space": 0},
    codes=READ,
)
def column_renamed(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    name = str(dice.choice(scene.contract.names))
    if amount < 0:
        return scene.rows.rename(columns=lambda one: one.swapcase())
    return scene.rows.rename(columns={name: f"{name}_new" if amount else f" {name}"})


@family(
    why="every value stands under another column's name",
    severities={"all shifted by one": -1, "two exchanged": 1},
    codes=("LAND001", "LAND003", "LAND004", "LAND005", "GX2", "GX3", "GX5", "DATA", "TFDV005", "SENSE"),
)
def columns_exchanged(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Leave the header as it was and the cells in another order: reading by name cannot help.

    Told by a column's kind or words (LAND, GX, DATA), by two columns that each go on as the other did (DATA127), or by
    the contract's sense: names that begin as another column's do, a report that comes before its accident.
    """
    rows = scene.rows
    names = list(rows.columns)
    if amount < 0:
        return rows[names[1:] + names[:1]].set_axis(names, axis=1)
    one, other = scene.line.alike[int(dice.integers(len(scene.line.alike)))]
    return rows.assign(**{one: rows[other], other: rows[one]})


@family(
    why="nobody declared what it means, whether it is personal, or whether it tells the answer",
    severities={"three": 3, "one": 1, "an index without a name": 0},
    codes=READ,
)
def column_added(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    if not amount:
        rows.insert(0, "", [str(number) for number in range(len(rows))])
        return rows
    return rows.assign(**{f"reviewed_{number}": dice.choice(["yes", "no"], len(rows)) for number in range(int(amount))})


@family(
    why="two columns claim to be the same fact, and which of them is read is an accident",
    severities={"twice": 1},
    codes=READ,
)
def column_twice(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    import pandas as pd

    name = str(dice.choice(scene.contract.names))
    return pd.concat([scene.rows, scene.rows[[name]].sample(frac=1, random_state=int(dice.integers(1 << 31)))], axis=1)


@family(
    why="the first claim is taken for the header and lost, and no column is known",
    severities={"no header": 1},
    codes=READ,
    level=Level.FILE,
)
def header_missing(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    file = as_csv(scene.rows)
    return File(file.name, file.content.split(b"\n", 1)[1])


@family(
    why="files were glued together: the second header would be read as a claim",
    severities={"in the middle": 1},
    codes=("LAND001", "LAND003", "GX2"),
    level=Level.FILE,
)
def header_repeated(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    lines = as_csv(scene.rows).content.split(b"\n")
    at = int(dice.integers(2, len(lines) - 2))
    return File("delivery.csv", b"\n".join([*lines[:at], lines[0], *lines[at:]]))


@family(
    why="these are the claims of another line of business",
    severities={"another data set": 1},
    codes=READ,
    level=Level.FILE,
)
def other_dataset(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    rows = scene.rows.set_axis([f"field_{number}" for number in range(len(scene.rows.columns))], axis=1)
    return as_csv(rows)
