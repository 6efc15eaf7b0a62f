"""The figures that TFDV's validator looks at, counted month by month by a columnar engine, and added up.

TFDV takes its own statistics in a row-wise pass over all claims; its validator needs a small part of them.
"""

# ruff: noqa: S608 - names are quoted
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import Contract, Kind
from fraud_ml.data.duck import connect, quoted
from fraud_ml.validation.profile import Profile
from fraud_ml.validation.profiling import Chunk

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

_FREQUENT = 1_000  # values of a column of many that are counted one by one, as TFDV does


@dataclass(frozen=True)
class Figures:
    """A column's known values. Text has `characters` (bytes of UTF-8) and `counts`, numbers have the others.

    counts: value -> rows; of a column of many values the most frequent of each month, where a domain asks for them.
    mean, squares: the mean, and the sum of squared distances from it; nan where a value is infinite.
    """

    is_text: bool
    known: int
    characters: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    counts_all: bool = True
    zeros: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Description:
    rows: int
    columns: Mapping[str, Figures]


def describe_chunk(
    chunk: Chunk, contract: Contract, profiles: Mapping[str, Profile], with_domain: Collection[str]
) -> dict[str, Description]:
    """Return the figures of each month of the chunk, whose profiles are those of the same rows."""
    import numpy as np
    import pyarrow as pa

    table = as_arrived(chunk.claims, contract)
    months = pa.DictionaryArray.from_arrays(pa.array(chunk.places, pa.int32()), pa.array(chunk.months, pa.string()))
    columns: dict[str, dict[str, Figures]] = {month: {} for month in chunk.months}
    with connect() as duck:
        duck.register("claims", table.append_column("__month", months))
        texts = [name for name in table.column_names if pa.types.is_string(table[name].type)]
        totals = _totals(duck, texts)
        for name in table.column_names:
            if name in totals:
                found = _of_text(duck, name, totals[name], profiles, name in with_domain)
            else:
                found = _of_numbers(chunk, table[name].to_numpy())
            for month, figures in found.items():
                columns[month][name] = figures
    rows = chunk.counted(np.ones(len(chunk.claims), bool))
    return {month: Description(rows[month], columns[month]) for month in chunk.months}


def describe_numbers(rows: "pa.Table", contract: Contract) -> dict[str, Figures]:
    """Return the figures of a month's columns of numbers and timestamps, as `describe_chunk` gives them.

    rows: all of the month, in the order in which they were judged; columns of text are left out.
    """
    import numpy as np
    import pyarrow as pa

    numbers = [field.name for field in rows.schema if pa.types.is_floating(field.type)]
    values = {name: rows[name].to_numpy() for name in numbers}  # as they are: pandas would copy them, twice
    times = as_arrived(rows.drop_columns(numbers).to_pandas(), contract)
    values |= {name: times[name].to_numpy() for name in times.column_names if pa.types.is_floating(times[name].type)}
    return {name: _of_known(column[~np.isnan(column)]) for name, column in values.items()}


def add_descriptions(descriptions: Iterable[Description]) -> Description:
    """Return the figures of all rows together; they come in the order of their months, so that means are the same."""
    parts = list(descriptions)
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {name: _added([part.columns[name] for part in parts if name in part.columns]) for name in names}
    return Description(sum(part.rows for part in parts), columns)


def as_arrived(claims: "pd.DataFrame", contract: Contract) -> "pa.Table":
    """Return the contract's columns as TFDV is told them: text, numbers, and timestamps as days since 1970."""
    import pandas as pd
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for name in contract.names:
        if name not in claims.columns:
            continue
        values = claims[name]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            epoch = pd.Timestamp(0, tz=values.dt.tz)
            columns[name] = pa.array((values - epoch) / pd.Timedelta(days=1), pa.float64(), from_pandas=True)
        elif pd.api.types.is_numeric_dtype(values.dtype):
            columns[name] = pa.array(values.astype(float), pa.float64(), from_pandas=True)
        elif isinstance(values.dtype, pd.StringDtype):
            columns[name] = pa.array(values, pa.string(), from_pandas=True)
        else:
            columns[name] = pa.array(
                [str(v) if k else None for v, k in zip(values, values.notna(), strict=True)], pa.string()
            )
    return pa.table(columns)


def as_told(description: Description) -> dict[str, Any]:
    """Return the description as TFDV's worker reads it."""
    return {
        "rows": description.rows,
        "columns": {
            name: {
                "text": one.is_text,
                "known": one.known,
                "characters": one.characters,
                "counts": dict(one.counts),
                "counts_all": one.counts_all,
                "zeros": one.zeros,
                "mean": one.mean,
                "deviation": math.sqrt(one.squares / one.known) if one.known and one.squares >= 0 else math.nan,
                "least": one.least,
                "most": one.most,
            }
            for name, one in description.columns.items()
        },
    }


# --- inside ---------------------------------------------------------------------------------------------------------


def _totals(duck: Any, texts: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Return column -> month -> how many values are known, and their characters: of all columns in one pass."""
    wanted = ", ".join(f"count({name}), coalesce(sum(strlen({name})), 0)" for name in map(quoted, texts))
    found: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in texts}
    if texts:
        for month, *figures in duck.execute(f"SELECT __month, {wanted} FROM claims GROUP BY __month").fetchall():
            for name, known, characters in zip(texts, figures[::2], figures[1::2], strict=True):
                found[name][month] = known, int(characters)
    return found


def _of_text(
    duck: Any, name: str, totals: Mapping[str, tuple[int, int]], profiles: Mapping[str, Profile], has_domain: bool
) -> dict[str, Figures]:
    column = quoted(name)
    counted = {month: _counted(profiles.get(month), name) for month in totals}
    unknown = [month for month in totals if counted[month] is None]
    frequent: dict[str, dict[str, int]] = {month: {} for month in unknown}
    if unknown and has_domain:
        rank = f"row_number() OVER (PARTITION BY __month ORDER BY count(*) DESC, {column})"
        query = f"SELECT __month, {column}, count(*) FROM claims WHERE {column} IS NOT NULL GROUP BY __month, {column}"
        for month, value, rows in duck.execute(f"{query} QUALIFY {rank} <= {_FREQUENT}").fetchall():
            if month in frequent:
                frequent[month][value] = rows
    found = {}
    for month, (known, characters) in totals.items():
        counts = counted[month]
        told = frequent[month] if counts is None else counts
        found[month] = Figures(
            True, known, characters, dict(sorted(told.items())), counts_all=sum(told.values()) == known
        )
    return found


def _counted(profile: Profile | None, name: str) -> Mapping[str, int] | None:
    """Return a text column's counts by value, where the month's profile has them."""
    column = profile.columns.get(name) if profile else None
    return column.counts if column is not None and column.kind is Kind.CATEGORY else None


def _of_numbers(chunk: Chunk, values: "NDArray[np.float64]") -> dict[str, Figures]:
    import numpy as np

    known = ~np.isnan(values)
    return {month: _of_known(values[known & (chunk.places == place)]) for place, month in enumerate(chunk.months)}


def _of_known(values: "NDArray[np.float64]") -> Figures:
    import numpy as np

    if not len(values):
        return Figures(False, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.mean(values))
        return Figures(
            False,
            len(values),
            zeros=int(np.count_nonzero(values == 0)),
            mean=mean,
            squares=float(np.sum(np.square(values - mean))),
            least=float(np.min(values)),
            most=float(np.max(values)),
        )


def _added(parts: list[Figures]) -> Figures:
    """Add up. Means and squares: source Chan, Golub, LeVeque 1979."""
    counts: Counter[str] = Counter()
    known, mean, squares = 0, 0.0, 0.0
    for part in parts:
        counts.update(part.counts)
        if part.known:
            step = part.mean - mean
            squares += part.squares + step * step * known * part.known / (known + part.known)
            mean += step * part.known / (known + part.known)
            known += part.known
    ends = [part for part in parts if part.least is not None and part.most is not None]
    return Figures(
        any(part.is_text for part in parts),
        known,
        sum(part.characters for part in parts),
        dict(sorted(counts.items())),
        all(part.counts_all for part in parts),
        sum(part.zeros for part in parts),
        mean,
        squares,
        min((part.least for part in ends if part.least is not None), default=None),
        max((part.most for part in ends if part.most is not None), default=None),
    )
