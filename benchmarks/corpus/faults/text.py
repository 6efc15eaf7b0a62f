"""Text that was damaged on its way, or that was written to harm whoever opens it."""

from typing import TYPE_CHECKING

from benchmarks.corpus.family import Level, family, some
from benchmarks.corpus.scenes import File, Scene, as_csv

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SHARES = {"fifth": 0.2, "few": 0.005, "one": 0.0}


@family(
    why="a spreadsheet that shows the claim would run it",
    severities=SHARES,
    codes=("DATA144", "GX2", "GX3"),
    column="texts",
)
def formula_injection(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    attack = ('=HYPERLINK("http://example.invalid","claim")', "+1+cmd|' /C calc'!A0", "@SUM(1+1)", "-2+3+cmd|x")
    rows.loc[some(rows, amount, dice), column] = str(dice.choice(attack))
    return rows


@family(
    why="control characters break what is shown, compared and exported next",
    severities=SHARES,
    codes=("DATA141", "GX2", "GX3"),
    column="texts",
)
def control_characters(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    marks = ("\x07", "\x1b[2J", "\x00", "\u202e", "\x85")
    rows.loc[hit, column] = rows.loc[hit, column] + marks[int(dice.integers(len(marks)))]  # numpy would lose the NUL
    return rows


@family(
    why="a cell of a megabyte is a document in the wrong place, or an attack on memory",
    severities={"one of a million characters": 1_000_000, "one of five thousand": 5_000},
    codes=("DATA143", "GX2", "GX3"),
    column="texts",
)
def huge_strings(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    rows.loc[some(rows, 0, dice), column] = "x" * int(amount)
    return rows


@family(
    why="text was read in one encoding and written in another: names no longer match themselves",
    severities=SHARES,
    codes=("DATA142", "GX2", "GX3"),
    column="texts",
)
def mojibake(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    damage = str(dice.choice(["Ã¼", "ï¿½", "\ufffd", "â€™"]))
    rows.loc[hit, column] = rows.loc[hit, column].str[:-1] + damage
    return rows


@family(
    why="files were glued together, each with its byte-order mark: the first name in each is another name",
    severities={"one": 0.0, "few": 0.005},
    codes=("DATA14", "GX", "LAND"),
    column="texts",
)
def mark_inside(scene: Scene, column: str, amount: float, dice: "np.random.Generator") -> "pd.DataFrame":
    rows = scene.rows
    hit = some(rows, amount, dice)
    rows.loc[hit, column] = "\ufeff" + rows.loc[hit, column]
    return rows


@family(
    why="names with accents are unreadable, or silently other names",
    severities={"Latin-1": 0, "UTF-16": 1, "UTF-16 without a mark": 2},
    codes=("LAND013",),
    level=Level.FILE,
)
def other_encoding(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    rows = scene.rows
    rows.loc[some(rows, 0.01, dice), scene.line.texts[0]] = "Citroën"
    text = as_csv(rows).content.decode()
    return File("delivery.csv", text.encode(("latin-1", "utf-16", "utf-16-le")[int(amount)]))
