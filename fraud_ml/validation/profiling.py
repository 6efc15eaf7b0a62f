"""Take the profile of each event month of some claims in DuckDB, and find the rows that break a rule of rows.

What is found of a month depends on its own claims alone, whatever other months are looked at beside it.
"""

# ruff: noqa: S608 - names are quoted, and conditions are our own
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Contract, Kind
from fraud_ml.data.duck import connect, quoted, text
from fraud_ml.validation.profile import BUCKET_OFFSET, BUCKETS_PER_E, FEW_VALUES, ColumnProfile, Profile, pair_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

NO_MONTH = "unknown"  # of claims whose event time is not known
_TIMES = ("event_time", "recorded_at")
EXAMPLES = 3  # rows that are named, by the digest of their key, for each rule that some break


@dataclass(frozen=True)
class RowRule:
    """A rule of single rows: `broken` is SQL over the claims' columns, true where a row breaks it.

    of_text: the condition looks at `column` alone, which holds text: then it is enough to ask its distinct values.
    only_where: a cheaper condition that every row meets which breaks the rule; the others are not asked.
    """

    code: str
    title: str
    severity: Severity
    column: str
    broken: str
    expected: str
    next_step: str
    tolerated_share: float = 0.0
    of_text: bool = False
    only_where: str = ""
    needs: tuple[str, ...] = ()  # further columns that the condition names

    @property
    def name(self) -> str:
        return f"{self.code} {self.column}"


@dataclass(frozen=True)
class Profiled:
    """The months' profiles by YYYY-MM, and for each rule of rows by its name: how many break it, and which rows.

    rows: positions of all broken rows for rules that set aside; for others, of each month those few whose keys have the
    smallest digests. by_month: the counts of `broken`, month by month.
    """

    months: Mapping[str, Profile]
    broken: Mapping[str, int]
    rows: Mapping[str, tuple[int, ...]]
    by_month: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Chunk:
    """Claims of one or several event months, as they arrived and as declared (`as_declared`).

    months: the event months that occur, rising; places: (n_claims,) the position in `months` of each claim's own.
    """

    claims: "pd.DataFrame"
    table: "pa.Table"
    months: tuple[str, ...]
    places: "NDArray[np.intp]"

    @cached_property
    def held(self) -> frozenset[str]:
        return frozenset(self.table.column_names)

    def counted(self, of: "NDArray[np.bool_]") -> dict[str, int]:
        """Return how many claims of each month a mask over all claims holds."""
        import numpy as np

        counts = np.bincount(self.places[of], minlength=len(self.months))
        return {month: int(count) for month, count in zip(self.months, counts, strict=True)}

    def where(self, kept: "NDArray[np.bool_]") -> "Chunk":
        """Return the chunk of those claims alone, on a RangeIndex; the months stay."""
        return Chunk(self.claims[kept].reset_index(drop=True), self.table.filter(kept), self.months, self.places[kept])


def chunk_of(claims: "pd.DataFrame", contract: Contract) -> Chunk:
    """Return the claims (on a RangeIndex) with what profiles and checks look at."""
    import numpy as np

    table = as_declared(claims, contract)
    if "event_time" in table.column_names:
        moments = table["event_time"].to_numpy().astype("datetime64[M]")
        found, places = np.unique(moments, return_inverse=True)  # not known comes last
        labels = [NO_MONTH if np.isnat(month) else str(month) for month in found]
    else:
        labels, places = [NO_MONTH] if len(claims) else [], np.zeros(len(claims), np.intp)
    return Chunk(claims, table, tuple(labels), places.astype(np.intp))


def profile_months(claims: "pd.DataFrame", contract: Contract, rules: Sequence[RowRule]) -> Profiled:
    """Profile `claims`, whose columns may be absent or of another kind than declared: those are left out.

    rules: those of rows, over columns that are there. Positions are those in the frame.
    """
    return profile_chunk(chunk_of(claims, contract), contract, rules)


def profile_chunk(chunk: Chunk, contract: Contract, rules: Sequence[RowRule]) -> Profiled:
    """Return what `profile_months` does, of claims that are a chunk already."""
    held = set(chunk.held)
    with connect() as duck:
        duck.register("claims", _marked(chunk, contract))
        kinds = {column.name: column.kind for column in contract.columns if column.name in held}
        distinct = estimate_distinct(duck, [name for name, kind in kinds.items() if kind is Kind.CATEGORY])
        few = {month: {name for name, n in counts.items() if n <= FEW_VALUES} for month, counts in distinct.items()}
        months = _months(duck, kinds, few)
        copies = _by_month(duck, _COPIES.format(told=told_columns(contract, held))) if len(held) > 3 else {}
        ranks = rank_positives(duck, contract.key) if contract.key in held else {}
        pairs = _pairs(duck, contract, kinds, few)
        key = quoted(contract.key) if contract.key in held else "''"
        asked = [rule for rule in rules if {rule.column, *rule.needs} <= held]
        by_month = _broken(duck, asked, few, chunk.months)
        total: Counter[str] = Counter({rule.name: 0 for rule in asked})
        for counts in by_month.values():
            total.update(counts)
        rows = _rows(duck, [rule for rule in asked if total[rule.name]], key)
    return Profiled(
        {
            month: Profile(
                **found,
                copies=int(copies.get(month, 0)),
                positive_ranks=int(ranks.get(month, 0)),
                pairs=pairs.get(month, {}),
                distinct=distinct_of(found["columns"], distinct.get(month, {})),
            )
            for month, found in sorted(months.items())
        },
        dict(total),
        rows,
        by_month,
    )


def distinct_of(columns: Mapping[str, ColumnProfile], estimated: Mapping[str, int]) -> dict[str, int]:
    """Return how many values each text column has: exactly where they are counted, else as estimated."""
    found = {name: column for name, column in columns.items() if column.kind is Kind.CATEGORY}
    return {name: estimated[name] if column.counts is None else len(column.counts) for name, column in found.items()}


def rank_positives(duck: Any, key: str) -> dict[str, int]:
    """Return month -> `positive_ranks` of the claims in the view or table `claims`, marked by month and label."""
    return _by_month(duck, _RANKS.format(key=quoted(key)))


def estimate_distinct(duck: Any, texts: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return month -> column -> about how many values it has; the estimate is the same for the same values."""
    wanted = ", ".join(["__month", *(f"approx_count_distinct({quoted(name)})" for name in texts)])
    found = duck.execute(f"SELECT {wanted} FROM claims GROUP BY __month").fetchall()
    return {month: dict(zip(texts, counts, strict=True)) for month, *counts in found}


def told_columns(contract: Contract, held: Collection[str]) -> str:
    """Return what tells a claim but its key and the moment of recording."""
    left_out = {contract.key, "recorded_at", "__row"}
    return ", ".join(quoted(name) for name in sorted(set(held) - left_out))


def as_declared(claims: "pd.DataFrame", contract: Contract) -> "pa.Table":
    """Return the declared columns, the two times and `__row`, as Arrow; a column of another kind is left out."""
    import pandas as pd
    import pyarrow as pa

    kinds = {**dict.fromkeys(_TIMES, Kind.TIMESTAMP), **{column.name: column.kind for column in contract.columns}}
    columns: dict[str, pa.Array] = {"__row": pa.array(range(len(claims)), pa.int64())}
    for name, kind in kinds.items():
        if name not in claims.columns:
            continue
        values = claims[name]
        if kind is Kind.CATEGORY:
            try:
                columns[name] = pa.array(values, pa.string(), from_pandas=True)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                continue
        elif kind is Kind.NUMBER and pd.api.types.is_numeric_dtype(values.dtype):
            columns[name] = pa.array(values.astype(float), pa.float64(), from_pandas=True)
        elif kind is Kind.TIMESTAMP and pd.api.types.is_datetime64_any_dtype(values.dtype):
            zoned = values.dt.tz_convert(None) if values.dt.tz is not None else values
            columns[name] = pa.array(zoned.astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)
    return pa.table(columns)


# --- inside ---------------------------------------------------------------------------------------------------------

_COPIES = (
    "SELECT __month, CAST(sum(times - 1) AS BIGINT) FROM (SELECT __month, count(*) AS times FROM claims"
    " GROUP BY __month, hash({told})) GROUP BY __month"
)
_RANKS = (
    "SELECT __month, CAST(coalesce(sum(place) FILTER (WHERE __positive), 0) AS BIGINT)"
    " FROM (SELECT __month, __positive,"
    " row_number() OVER (PARTITION BY __month ORDER BY length({key}), {key}) AS place FROM claims"
    " WHERE __positive OR __negative) GROUP BY __month"
)


def _marked(chunk: Chunk, contract: Contract) -> "pa.Table":
    """Return the chunk's table with each row's month, and whether its label is positive or negative."""
    import pyarrow as pa
    import pyarrow.compute as pc

    months = pa.DictionaryArray.from_arrays(pa.array(chunk.places, pa.int32()), pa.array(chunk.months, pa.string()))
    table = chunk.table.append_column("__month", months)
    label = contract.label
    for name, words in (("__positive", label.positive), ("__negative", label.negative)):
        if label.column in chunk.held and pa.types.is_string(chunk.table[label.column].type):
            mark = pc.is_in(chunk.table[label.column], pa.array(words, pa.string()))
        else:
            mark = pa.array([False] * table.num_rows, pa.bool_())
        table = table.append_column(name, mark)
    return table


def bucket_sql(name: str) -> str:
    """Return SQL for `bucket_of`; what is not finite has no bucket."""
    size = f"{BUCKET_OFFSET} + CAST(ceil(ln(abs({name})) * {BUCKETS_PER_E}) AS INTEGER)"
    return (
        f"CASE WHEN NOT isfinite({name}) THEN NULL WHEN {name} = 0 THEN 0"
        f" WHEN {name} > 0 THEN {size} ELSE -({size}) END"
    )


def _months(duck: Any, kinds: Mapping[str, Kind], few: Mapping[str, set[str]]) -> dict[str, dict[str, Any]]:
    """Return each month's counts: one grouping for the rows, and one for each column.

    few: month -> the columns of which it counts values; of other texts it counts lengths.
    """
    found: dict[str, dict[str, Any]] = {}
    totals = duck.execute(
        "SELECT __month, count(*), count(*) FILTER (WHERE __positive), count(*) FILTER (WHERE __negative)"
        " FROM claims GROUP BY __month"
    )
    for month, rows, positive, negative in totals.fetchall():
        found[month] = {"rows": rows, "positive": positive, "negative": negative, "columns": {}}
    for name, kind in kinds.items():
        column = quoted(name)
        long_in = [month for month in found if kind is Kind.CATEGORY and name not in few[month]]
        is_long = f"__month IN ({', '.join(map(text, long_in))})" if long_in else "false"
        counted = {
            Kind.CATEGORY: f"CASE WHEN {is_long} THEN CAST(length({column}) AS VARCHAR) ELSE {column} END",
            Kind.NUMBER: bucket_sql(column),
            Kind.TIMESTAMP: f"date_diff('day', DATE '1970-01-01', CAST({column} AS DATE))",
        }[kind]
        counts: dict[str, dict[str, int]] = {month: {} for month in found}
        positives: dict[str, dict[str, int]] = {month: {} for month in found}
        midnight = f"{column} = date_trunc('day', {column})" if kind is Kind.TIMESTAMP else "false"
        query = (
            f"SELECT __month, CAST({counted} AS VARCHAR) AS value, count(*), count(*) FILTER (WHERE __positive),"
            f" count(*) FILTER (WHERE {midnight})"
            f" FROM claims WHERE {column} IS NOT NULL GROUP BY ALL ORDER BY value"
        )
        known = dict.fromkeys(found, 0)
        midnights = dict.fromkeys(found, 0)
        for month, value, rows, positive, midnight_rows in duck.execute(query).fetchall():
            known[month] += rows
            midnights[month] += midnight_rows
            if value is not None:  # else infinite: it is known, and in no bucket
                counts[month][value] = rows
                if positive:
                    positives[month][value] = positive
        for month in found:
            if month in long_in:
                told = ColumnProfile(kind, known[month], None, counts[month])
            else:
                told = ColumnProfile(kind, known[month], counts[month], {}, positives[month], midnights[month])
            found[month]["columns"][name] = told
    return found


def _by_month(duck: Any, query: str) -> dict[str, int]:
    return dict(duck.execute(query).fetchall())


def _pairs(
    duck: Any, contract: Contract, kinds: Mapping[str, Kind], few: Mapping[str, set[str]]
) -> dict[str, dict[str, dict[str, int]]]:
    """Return month -> pair -> values -> rows where both are known; numbers in steps of half as much again.

    A month in which a text column has many values counts no pairs of it.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    for names in contract.checks.go_together:
        words = {name for name in names if kinds.get(name) is Kind.CATEGORY}
        if not all(kinds.get(name) is Kind.NUMBER or name in words for name in names):
            continue
        told = [
            f"CAST({quoted(name)} AS VARCHAR)"
            if name in words
            else f"CAST({bucket_sql(quoted(name))} // 10 AS VARCHAR)"
            for name in names
        ]
        months = [month for month, columns in few.items() if words <= columns]
        query = (
            f"SELECT __month, {told[0]} AS first, {told[1]} AS second, count(*) FROM claims"
            f" WHERE __month IN ({', '.join(map(text, months)) or 'NULL'}) GROUP BY ALL ORDER BY ALL"
        )
        for month, first, second, rows in duck.execute(query).fetchall():
            if first is not None and second is not None:
                found.setdefault(month, {}).setdefault(pair_name(*names), {})[pair_name(first, second)] = rows
    return found


def _broken(
    duck: Any, rules: Sequence[RowRule], few: Mapping[str, set[str]], months: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return for each month how many rows break each rule."""
    counts = {month: {rule.name: 0 for rule in rules} for month in months}
    cheap = [rule for rule in rules if rule.of_text and all(rule.column in columns for columns in few.values())]
    asked = [rule for rule in rules if rule not in cheap] + _of_distinct_values(duck, cheap)
    for where in dict.fromkeys(rule.only_where for rule in asked):
        mine = [rule for rule in asked if rule.only_where == where]
        wanted = ", ".join(f"count(*) FILTER (WHERE {rule.broken})" for rule in mine)
        query = f"SELECT __month, {wanted} FROM claims WHERE {where or 'true'} GROUP BY __month"
        for month, *found in duck.execute(query).fetchall():
            counts[month] |= {rule.name: int(count) for rule, count in zip(mine, found, strict=True)}
    return counts


def _rows(duck: Any, rules: Sequence[RowRule], key: str) -> dict[str, tuple[int, ...]]:
    rows: dict[str, tuple[int, ...]] = {}
    for rule in rules:
        query = f"SELECT __row FROM claims WHERE {rule.broken}"
        if rule.severity is not Severity.QUARANTINE:
            place = f"row_number() OVER (PARTITION BY __month ORDER BY sha256(coalesce({key}, '')), __row)"
            query += f" QUALIFY {place} <= {EXAMPLES}"
        rows[rule.name] = tuple(row for (row,) in duck.execute(f"{query} ORDER BY __row").fetchall())
    return rows


def _of_distinct_values(duck: Any, rules: Sequence[RowRule]) -> list[RowRule]:
    """Return the rules that some distinct value breaks."""
    kept = []
    for column in dict.fromkeys(rule.column for rule in rules):
        mine = [rule for rule in rules if rule.column == column]
        wanted = ", ".join(f"coalesce(bool_or({rule.broken}), false)" for rule in mine)
        name = quoted(column)
        (found,) = duck.execute(f"SELECT {wanted} FROM (SELECT DISTINCT {name} FROM claims)").fetchall()
        kept += [rule for rule, breaks in zip(mine, found, strict=True) if breaks]
    return kept
