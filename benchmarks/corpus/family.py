"""What a fault family is: one way in which a delivery of claims goes wrong in life, as hard or as softly as it may."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from benchmarks.corpus.scenes import LOG_KEY, File, Scene

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DATASETS = ("carclaims", "handbook", "motor")


class Level(StrEnum):
    """Where the fault happens."""

    ROWS = "rows"  # what the exporting system wrote into the cells: acts on the arriving rows, all cells text
    FILE = "file"  # how the file was written or carried: acts on those rows, gives a file's bytes
    FROZEN = "frozen"  # after freezing: acts on the folder of partitions
    REQUESTS = "requests"  # what callers ask the live model about, while the snapshot is sound: acts on these claims


class Guard(StrEnum):
    """Who notices."""

    LANDING = "landing"  # the delivery is refused, or rows of it are set aside, under a LAND code
    TAMPERED = "tampered"  # the snapshot is not what was frozen
    VERDICT = "verdict"  # a finding of the verdict fails: rejected, rows in quarantine, or a warning with this code


Act = Callable[..., "pd.DataFrame | File | None"]


@dataclass(frozen=True)
class Family:
    """A named fault. `codes` are those of which one must be among the findings; a code may be a beginning (`GX2`)."""

    name: str
    level: Level
    act: Act
    why: str  # a careful person wants to know
    severities: Mapping[str, float]  # name -> what the act takes, hardest first
    codes: tuple[str, ...]
    column: str | None = None  # the attribute of Line that lists the columns of which one is broken
    datasets: tuple[str, ...] = DATASETS

    @property
    def guard(self) -> Guard:
        if self.codes == (TAMPERED,):
            return Guard.TAMPERED
        return Guard.LANDING if self.codes[0].startswith("LAND") else Guard.VERDICT

    def columns(self, scene: "Scene") -> tuple[str, ...]:
        """Return the columns that the fault may strike in this scene; none when it strikes the whole delivery."""
        return tuple(getattr(scene.line, self.column)) if self.column else ()

    def concerns(self, scene: "Scene") -> bool:
        """Say whether the fault can happen to this line of business."""
        return scene.line.dataset in self.datasets and (self.column is None or bool(self.columns(scene)))


TAMPERED = "Tampered"
FAMILIES: dict[str, Family] = {}


def family(
    *,
    why: str,
    severities: Mapping[str, float],
    codes: tuple[str, ...],
    column: str | None = None,
    datasets: tuple[str, ...] = DATASETS,
    level: Level = Level.ROWS,
) -> Callable[[Act], Act]:
    """Enter a function into the table of families under its own name.

    It takes the scene, the column to strike (None without `column`), the severity's amount and a random generator. At
    level ROWS or FILE it returns the rows or the file that arrive instead; at level FROZEN it changes the folder. At
    level REQUESTS it takes the claims that callers ask about in place of the scene, and returns others.
    """

    def enter(act: Act) -> Act:
        name: str = act.__name__
        assert name not in FAMILIES, name
        FAMILIES[name] = Family(name, level, act, why, severities, codes, column, datasets)
        return act

    return enter


def some(rows: "pd.DataFrame", share: float, dice: "np.random.Generator") -> Any:
    """Return the labels of a random share of the rows, at least one.

    Of a log, whose rows are states of claims, those that are overtaken by a later state of the same delivery come last:
    what is broken in them reaches no snapshot.
    """
    count = max(1, round(share * len(rows)))
    order = list(dice.permutation(len(rows)))
    key = rows.attrs.get(LOG_KEY)
    if key is not None:
        lasting = ~rows.sort_values("recorded_at", kind="stable")[key].duplicated(keep="last").reindex(rows.index)
        order = [*(place for place in order if lasting.iloc[place]), *(p for p in order if not lasting.iloc[p])]
    return rows.index[sorted(order[:count])]
