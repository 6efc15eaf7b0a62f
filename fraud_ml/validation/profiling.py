"""Take the profile of each event month of some claims in DuckDB, and find the rows that break a rule of rows."""

# ruff: noqa: S608 - names are quoted, and conditions are our own
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Contract, Kind
from fraud_ml.data.duck import connect, quoted, text
from fraud_ml.validation.profile import BUCKET_OFFSET, BUCKETS_PER_E, FEW_VALUES, ColumnProfile, Profile, pair_name

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NO_MONTH = "unknown"  # of claims whose event time is not known
_TIMES = ("event_time", "recorded_at")
_EXAMPLES = 5


@dataclass(frozen=True)
class RowRule:
    """A rule of single rows: `broken` is SQL over the claims' columns, true where a row breaks it.

    of_text: the condition looks at `column` alone, which holds text: then it is enough to ask its distinct values.
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
    needs: tuple[str, ...] = ()  # further columns that the condition names

    @property
    def name(self) -> str:
        return f"{self.code} {self.column}"


@dataclass(frozen=True)
class Profiled:
    """The months' profiles by YYYY-MM, and for each rule of rows by its name: how many break it, and which rows.

    rows: positions of all broken rows for rules that set aside, of the first few for others.
    """

    months: Mapping[str, Profile]
    broken: Mapping[str, int]
    rows: Mapping[str, tuple[int, ...]]


def profile_months(claims: "pd.DataFrame", contract: Contract, rules: Sequence[RowRule]) -> Profiled:
    """Profile `claims`, whose columns may be absent or of another kind than declared: those are left out.

    rules: those of rows, over columns that are there. Positions are those in the frame.
    """
    table = as_declared(claims, contract)
    held = set(table.column_names)
    with connect() as duck:
        duck.register("arrived", table)
        duck.execute(f"CREATE TEMP VIEW claims AS SELECT *, {_derived(contract, held)} FROM arrived")
        columns = [column for column in contract.columns if column.name in held]
        texts = [column.name for column in columns if column.kind is Kind.CATEGORY]
        few = _few_valued(duck, texts)
        months = _months(duck, {column.name: column.kind for column in columns}, few)
        copies = _by_month(duck, _COPIES.format(told=_told(contract, held))) if len(held) > 3 else {}
        ranks = _by_month(duck, _RANKS.format(key=quoted(contract.key))) if contract.key in held else {}
        distinct = _distinct(duck, texts)
        pairs = _pairs(duck, contract, {column.name: column.kind for column in columns}, distinct)
        broken, rows = _broken(duck, [rule for rule in rules if {rule.column, *rule.needs} <= held], few)
    return Profiled(
        {
            month: replace(
                _profile(found, copies.get(month, 0), ranks.get(month, 0)),
                distinct=distinct.get(month, {}),
                pairs=pairs.get(month, {}),
            )
            for month, found in sorted(months.items())
        },
        broken,
        rows,
    )


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


def _derived(contract: Contract, held: set[str]) -> str:
    month = f"coalesce(strftime(event_time, '%Y-%m'), '{NO_MONTH}')" if "event_time" in held else f"'{NO_MONTH}'"
    told = {"__positive": contract.label.positive, "__negative": contract.label.negative}
    label = quoted(contract.label.column)
    marks = [
        f"coalesce({label} IN ({', '.join(map(text, words))}), false) AS {name}"
        if contract.label.column in held and words
        else f"false AS {name}"
        for name, words in told.items()
    ]
    return ", ".join([f"{month} AS __month", *marks])


def _told(contract: Contract, held: set[str]) -> str:
    """Return what tells a claim but its key and the moment of recording."""
    left_out = {contract.key, "recorded_at", "__row"}
    return ", ".join(quoted(name) for name in sorted(held - left_out))


def _few_valued(duck: Any, texts: Sequence[str]) -> set[str]:
    if not texts:
        return set()
    wanted = ", ".join(f"approx_count_distinct({quoted(name)})" for name in texts)
    (counts,) = duck.execute(f"SELECT {wanted} FROM claims").fetchall()
    return {name for name, count in zip(texts, counts, strict=True) if count <= FEW_VALUES}


def _distinct(duck: Any, texts: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return month -> column -> about how many values it has; the estimate is the same for the same values."""
    wanted = ", ".join(["__month", *(f"approx_count_distinct({quoted(name)})" for name in texts)])
    found = duck.execute(f"SELECT {wanted} FROM claims GROUP BY __month").fetchall()
    return {month: dict(zip(texts, counts, strict=True)) for month, *counts in found}


def _pairs(
    duck: Any, contract: Contract, kinds: Mapping[str, Kind], distinct: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, dict[str, int]]]:
    """Return month -> pair -> values -> rows where both are known; numbers in steps of half as much again."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for names in contract.checks.go_together:
        if not all(name in kinds for name in names):
            continue
        told = [
            f"CAST({bucket_sql(quoted(name))} // 10 AS VARCHAR)" if kinds[name] is Kind.NUMBER else quoted(name)
            for name in names
        ]
        few = [month for month, counts in distinct.items() if all(counts.get(name, 0) <= FEW_VALUES for name in names)]
        query = (
            f"SELECT __month, {', '.join(told)}, count(*) FROM claims"
            f" WHERE __month IN ({', '.join(map(text, few)) or 'NULL'}) GROUP BY ALL ORDER BY ALL"
        )
        for month, first, second, rows in duck.execute(query).fetchall():
            if first is not None and second is not None:
                found.setdefault(month, {}).setdefault(pair_name(*names), {})[pair_name(first, second)] = rows
    return found


def bucket_sql(name: str) -> str:
    """Return SQL for `bucket_of`; what is not finite has no bucket."""
    size = f"{BUCKET_OFFSET} + CAST(ceil(ln(abs({name})) * {BUCKETS_PER_E}) AS INTEGER)"
    return (
        f"CASE WHEN NOT isfinite({name}) THEN NULL WHEN {name} = 0 THEN 0"
        f" WHEN {name} > 0 THEN {size} ELSE -({size}) END"
    )


def _months(duck: Any, kinds: Mapping[str, Kind], few: set[str]) -> dict[str, dict[str, Any]]:
    """Return each month's counts: one grouping for the rows, and one for each column."""
    found: dict[str, dict[str, Any]] = {}
    totals = duck.execute(
        "SELECT __month, count(*), count(*) FILTER (WHERE __positive), count(*) FILTER (WHERE __negative)"
        " FROM claims GROUP BY __month"
    )
    for month, rows, positive, negative in totals.fetchall():
        found[month] = {"rows": rows, "positive": positive, "negative": negative, "columns": {}}
    for name, kind in kinds.items():
        column = quoted(name)
        counted = {
            Kind.CATEGORY: column if name in few else f"length({column})",
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
        is_long = kind is Kind.CATEGORY and name not in few
        for month in found:
            if is_long:
                told = ColumnProfile(kind, known[month], None, counts[month])
            else:
                told = ColumnProfile(kind, known[month], counts[month], {}, positives[month], midnights[month])
            found[month]["columns"][name] = told
    return found


def _by_month(duck: Any, query: str) -> dict[str, int]:
    return dict(duck.execute(query).fetchall())


def _profile(found: Mapping[str, Any], copies: int, ranks: int) -> Profile:
    return Profile(**found, copies=int(copies), positive_ranks=int(ranks))


def _broken(duck: Any, rules: Sequence[RowRule], few: set[str]) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    counts = {rule.name: 0 for rule in rules}
    suspected = _of_distinct_values(duck, [rule for rule in rules if rule.of_text and rule.column in few])
    asked = [rule for rule in rules if not (rule.of_text and rule.column in few)] + suspected
    if asked:
        wanted = ", ".join(f"count(*) FILTER (WHERE {rule.broken})" for rule in asked)
        (found,) = duck.execute(f"SELECT {wanted} FROM claims").fetchall()
        counts |= {rule.name: int(count) for rule, count in zip(asked, found, strict=True)}
    rows: dict[str, tuple[int, ...]] = {}
    for rule in rules:
        if counts[rule.name]:
            limit = "" if rule.severity is Severity.QUARANTINE else f" LIMIT {_EXAMPLES}"
            query = f"SELECT __row FROM claims WHERE {rule.broken} ORDER BY __row{limit}"
            rows[rule.name] = tuple(row for (row,) in duck.execute(query).fetchall())
    return counts, rows


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
