"""Tables of claim rows: parsed by contract, put in order and compared.

A log row holds the contract's columns and, computed by the contract's own SQL, `event_time` and `recorded_at` (UTC).
"""

# ruff: noqa: S608 - names are quoted, values are bound or counted, and the contract's expressions are code
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import Column, Contract, Kind
from fraud_ml.data.duck import connect as _duck
from fraud_ml.data.duck import quoted as _quoted
from fraud_ml.data.duck import scan as _scan
from fraud_ml.data.duck import text as _text
from fraud_ml.data.sources.files import SourceTable
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

EVENT_TIME, RECORDED_AT = "event_time", "recorded_at"

_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_MOMENT = r"\s*(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)\s*(?:Z|([+-])(\d{2}):?(\d{2})?)?\s*"
_SPELLED = {Kind.NUMBER: "a number", Kind.TIMESTAMP: "an ISO 8601 date or date-time, such as 2024-05-31T14:30:00Z"}


def log_columns(contract: Contract) -> tuple[str, ...]:
    """Return a log row's columns in order: the contract's, then the two times it does not hold already."""
    return (*contract.names, *(name for name in (EVENT_TIME, RECORDED_AT) if name not in contract.names))


def log_schema(contract: Contract) -> "pa.Schema":
    """Return the Arrow types of a log row."""
    import pyarrow as pa

    arrow = {Kind.CATEGORY: pa.string(), Kind.NUMBER: pa.float64(), Kind.TIMESTAMP: pa.timestamp("us")}
    kinds = {column.name: column.kind for column in contract.columns}
    return pa.schema([(name, arrow[kinds.get(name, Kind.TIMESTAMP)]) for name in log_columns(contract)])


def parse_rows(source: SourceTable, contract: Contract) -> "pa.Table":
    """Return the file's distinct rows as log rows, in log order. Raises BadInput for what cannot be told for sure.

    That is: a cell that is not of its declared kind; a row without key, event time or recorded time; a row recorded
    before its event; two rows of one claim recorded at one moment with different content.
    """
    import pyarrow as pa

    _check_times(contract)
    with _duck() as duck:
        duck.register("source", source.columns.append_column("__row", pa.array(range(1, source.columns.num_rows + 1))))
        cells = ", ".join(f"{_parsed(c, source)} AS {_quoted(c.name)}" for c in contract.columns)
        duck.execute(f"CREATE TEMP TABLE cells AS SELECT {cells}, __row FROM source")
        for column in contract.columns:
            _require_kind(duck, column, source, contract)
        _require(
            duck,
            f"SELECT __row FROM cells WHERE {_quoted(contract.key)} IS NULL",
            source,
            f"have no {contract.key} (the key)",
        )
        _add_times(duck, source, contract)
        _require(
            duck,
            f"SELECT __row FROM rows WHERE {RECORDED_AT} < {EVENT_TIME}",
            source,
            "were recorded before the event",
            next_step="correct the row, or the contract's `times`",
        )
        rows = _ordered(duck, "rows", contract)
        duck.register("ordered", rows)
        _require_one_truth(duck, source, contract)
        return rows


def merge_files(files: list[Path], contract: Contract) -> "pa.Table":
    """Return the distinct rows of all files in log order: the same rows in any split and order give the same table."""
    with _duck(files=True) as duck:
        duck.execute("CREATE TEMP VIEW rows AS " + _scan(files))
        return _ordered(duck, "rows", contract)


def count_conflicts(known: "pa.Table", arriving: "pa.Table", contract: Contract) -> int:
    """Return how many moments of claims (key, recorded at) say something else in `arriving` than in `known`."""
    with _duck() as duck:
        duck.register("known", known)
        duck.register("arriving", arriving)
        key = _quoted(contract.key)
        rest = [_quoted(name) for name in log_columns(contract)]
        differs = " OR ".join(f"known.{name} IS DISTINCT FROM arriving.{name}" for name in rest)
        found = duck.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT arriving.{key}, arriving.{RECORDED_AT} FROM known JOIN arriving"
            f" ON known.{key} = arriving.{key} AND known.{RECORDED_AT} = arriving.{RECORDED_AT} WHERE {differs})"
        ).fetchall()[0]
        return int(found[0])


# --- inside ---------------------------------------------------------------------------------------------------------


def _parsed(column: Column, source: SourceTable) -> str:
    """Return SQL for the column's value; missing spellings and the unreadable are null (the latter is refused)."""
    name = _quoted(column.name)
    is_text = source.is_text(column.name)
    present = _presence(column, name, is_text)
    if column.kind is Kind.CATEGORY or (column.kind is Kind.TIMESTAMP and not is_text):
        return f"CASE WHEN {present} THEN {name} END"
    if column.kind is Kind.NUMBER:
        number = f"TRY_CAST({name} AS DOUBLE) + 0.0"  # so that -0.0 and 0.0 are one value
        readable = f" AND regexp_full_match({name}, '{_NUMBER}')" if is_text else ""
        return f"CASE WHEN {present}{readable} THEN {number} END"
    moment, sign, hours, minutes = (f"regexp_extract({name}, '^{_MOMENT}$', {group})" for group in (1, 2, 3, 4))
    offset = f"coalesce(TRY_CAST({hours} AS INTEGER), 0) * 60 + coalesce(TRY_CAST({minutes} AS INTEGER), 0)"
    to_utc = f"to_minutes(CASE {sign} WHEN '+' THEN -1 WHEN '-' THEN 1 ELSE 0 END * ({offset}))"
    readable = f"regexp_full_match({name}, '{_MOMENT}')"
    return f"CASE WHEN {present} AND {readable} THEN TRY_CAST({moment} AS TIMESTAMP) + {to_utc} END"


def _presence(column: Column, name: str, is_text: bool) -> str:
    """Return SQL that is true where the cell is not a missing one; spellings of numbers compare as numbers."""
    spellings = [f"{name} <> {_text(word)}" for word in column.missing] if is_text else []
    if column.kind is Kind.NUMBER:
        value = f"TRY_CAST({name} AS DOUBLE)"
        numbers = [word for word in column.missing if _is_number(word)]
        spellings += [f"{value} IS DISTINCT FROM CAST({_text(word)} AS DOUBLE)" for word in numbers]
        if is_text:
            spellings.append(f"trim({name}) <> ''")
    elif is_text and column.kind is Kind.TIMESTAMP:
        spellings.append(f"trim({name}) <> ''")
    return " AND ".join([f"{name} IS NOT NULL", *spellings])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _require_kind(duck: Any, column: Column, source: SourceTable, contract: Contract) -> None:
    if column.kind is Kind.CATEGORY:
        return
    name, is_text = _quoted(column.name), source.is_text(column.name)
    unreadable = f"cells.{name} IS NULL OR NOT isfinite(cells.{name})"
    count, first = duck.execute(
        f"SELECT count(*), min(__row) FROM cells JOIN source USING (__row)"
        f" WHERE ({_presence(column, f'source.{name}', is_text)}) AND ({unreadable})"
    ).fetchall()[0]
    if count:
        raise BadInput(
            f'expectations/{contract.dataset}/contract.yaml: column "{column.name}" is declared a {column.kind}, but'
            f" {count:,} of {source.columns.num_rows:,} values in {source.path} are not",
            expected=f"{_SPELLED[column.kind]}, or an empty cell",
            arrived=f"something else (first at {source.place(first)})",
            next_step=f'correct the file, or declare what means "not known" by `missing: […]` for "{column.name}"',
            column=column.name,
            count=count,
            first_row=first,
        )


def _check_times(contract: Contract) -> None:
    """A contract's own column may bear the name of a computed time only if it is that time."""
    for name, expression in ((EVENT_TIME, contract.times.event), (RECORDED_AT, contract.times.recorded)):
        if name in contract.names and (expression.strip() != name or contract.column(name).kind is not Kind.TIMESTAMP):
            raise BadInput(
                f"expectations/{contract.dataset}/contract.yaml: column `{name}` is named like a computed time",
                expected=f"`times` to say `{name}` and the column to be a timestamp",
                next_step="rename the column, or use it as that time",
            )


def _add_times(duck: Any, source: SourceTable, contract: Contract) -> None:
    import duckdb

    wanted = {EVENT_TIME: ("event", contract.times.event), RECORDED_AT: ("recorded", contract.times.recorded)}
    selected = ["*"]
    for name, (which, expression) in wanted.items():
        if name in contract.names:
            continue
        selected.append(f"TRY(CAST(({expression}) AS TIMESTAMP)) AS {name}")
        try:
            duck.execute(f"SELECT {selected[-1]} FROM cells LIMIT 0")
        except duckdb.Error as error:
            raise BadInput(
                f"expectations/{contract.dataset}/contract.yaml: `times.{which}` is not an expression over the columns",
                arrived=str(error).splitlines()[0],
                next_step="correct the expression (DuckDB SQL over the declared columns)",
            ) from None
    duck.execute(f"CREATE TEMP TABLE rows AS SELECT {', '.join(selected)} FROM cells")
    for name, (which, _) in wanted.items():
        _require(
            duck,
            f"SELECT __row FROM rows WHERE {name} IS NULL OR NOT isfinite({name})",
            source,
            f"have no {name} (the contract's `times.{which}`)",
            next_step="complete the columns it is computed from, or correct the expression",
        )


def _require(
    duck: Any, rows: str, source: SourceTable, what: str, next_step: str = "complete the row, or leave it out"
) -> None:
    """Raise unless the query finds no row."""
    count, first = duck.execute(f"SELECT count(*), min(__row) FROM ({rows})").fetchall()[0]
    if count:
        raise BadInput(
            f"{source.path}: {count:,} of {source.columns.num_rows:,} rows {what} (first at {source.place(first)})",
            next_step=next_step,
            count=count,
            first_row=first,
        )


def _require_one_truth(duck: Any, source: SourceTable, contract: Contract) -> None:
    key = _quoted(contract.key)
    moments = f"SELECT {key}, {RECORDED_AT} FROM ordered GROUP BY ALL HAVING count(*) > 1"
    count, first = duck.execute(
        f"SELECT count(*), min(rows.__row) FROM rows JOIN ({moments}) USING ({key}, {RECORDED_AT})"
    ).fetchall()[0]
    if count:
        raise BadInput(
            f"{source.path}: {count:,} rows tell one claim at one recorded time in different ways"
            f" (first at {source.place(first)})",
            expected=f"one content for each `{contract.key}` and recorded time",
            next_step="keep the true row, or record the correction at a later time",
            count=count,
            first_row=first,
        )


def _ordered(duck: Any, table: str, contract: Contract) -> "pa.Table":
    """Return the distinct rows, ordered by recorded time, then key, then everything else."""
    import duckdb
    import pyarrow as pa

    names = log_columns(contract)
    ordered = dict.fromkeys([RECORDED_AT, contract.key, *names])
    columns = ", ".join(_quoted(name) for name in names)
    order = ", ".join(f"{_quoted(name)} NULLS FIRST" for name in ordered)
    try:
        return _arrow(duck.sql(f"SELECT DISTINCT {columns} FROM {table} ORDER BY {order}"), contract)
    except (duckdb.Error, pa.ArrowException) as error:
        raise BadInput(
            f"the log of `{contract.dataset}` does not have the columns of its contract",
            expected=f"the {len(names)} columns of expectations/{contract.dataset}/contract.yaml in every landed batch",
            arrived=type(error).__name__,
            next_step="restore the contract the claims were landed with, or land them anew into an empty log",
        ) from None


def _arrow(answer: Any, contract: Contract) -> "pa.Table":
    table: pa.Table = answer.to_arrow_table().cast(log_schema(contract)).combine_chunks()
    return table
