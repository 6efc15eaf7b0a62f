"""Tables of claim rows: parsed by contract, put in order and compared.

A claim row holds the contract's columns and, computed by the contract's own SQL, `event_time` and `recorded_at` (UTC).
A log row is the same at rest: where the contract can erase people, its personal values stand in `sealed` (sealing.py).
"""

# ruff: noqa: S608 - names are quoted, values are bound or counted, and the contract's expressions are code
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import SEALED, Column, Contract, Kind, Offsets, Role
from fraud_ml.data.duck import connect as _duck
from fraud_ml.data.duck import quoted as _quoted
from fraud_ml.data.duck import scan as _scan
from fraud_ml.data.duck import text as _text
from fraud_ml.data.set_aside import Code, SetAside
from fraud_ml.data.sources.files import SourceTable
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

EVENT_TIME, RECORDED_AT = "event_time", "recorded_at"
SOURCE_NAME = "source_name"  # what `times` may also name: where the rows came from

_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_MOMENT = r"\s*(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)\s*(?:Z|([+-])(\d{2}):?(\d{2})?)?\s*"
_OFFSET = r":[0-9.]+\s*(Z|[+-]\d{2}:?(\d{2})?)\s*$"
_UTC = r"(Z|[+-]00:?(00)?)\s*$"
_SPELLED = {Kind.NUMBER: "a number", Kind.TIMESTAMP: "an ISO 8601 date or date-time, such as 2024-05-31T14:30:00Z"}


def claim_columns(contract: Contract) -> tuple[str, ...]:
    """Return a claim row's columns in order: the contract's, then the two times it does not hold already."""
    return (*contract.names, *(name for name in (EVENT_TIME, RECORDED_AT) if name not in contract.names))


def log_columns(contract: Contract) -> tuple[str, ...]:
    """Return a log row's columns in order: a claim row's and, where people can be erased, `sealed`."""
    return (*claim_columns(contract), *([SEALED] if contract.erasure else []))


def claim_schema(contract: Contract) -> "pa.Schema":
    """Return the Arrow types of a claim row."""
    import pyarrow as pa

    arrow = {Kind.CATEGORY: pa.string(), Kind.NUMBER: pa.float64(), Kind.TIMESTAMP: pa.timestamp("us")}
    kinds = {column.name: column.kind for column in contract.columns}
    return pa.schema([(name, arrow[kinds.get(name, Kind.TIMESTAMP)]) for name in claim_columns(contract)])


def log_schema(contract: Contract) -> "pa.Schema":
    """Return the Arrow types of a log row."""
    import pyarrow as pa

    schema = claim_schema(contract)
    return schema.append(pa.field(SEALED, pa.string())) if contract.erasure else schema


def parse_rows(
    source: SourceTable,
    contract: Contract,
    *,
    aside: SetAside | None = None,
    now: datetime | None = None,
    first_wins: bool = False,
) -> "pa.Table":
    """Return the source's distinct rows as claim rows, in log order, without those that cannot be told for sure.

    Such rows go into `aside`, each under its code; without `aside` the first rule that is broken raises BadInput. They
    are: a cell that is not of its declared kind; a row without key, event time or recorded time; one recorded before
    its event, or later than `now` (UTC; the clock's, unless given); two rows of one claim recorded at one moment with
    different content (with `first_wins`, all but those that tell what the first one tells); what the contract's
    `landing` section forbids.
    """
    import pyarrow as pa

    _check_times(contract)
    with _duck() as duck:
        judge = _Judge(duck, source, contract, aside)
        duck.register("source", source.columns.append_column("__row", pa.array(range(1, source.columns.num_rows + 1))))
        cells = ", ".join(f"{_parsed(c, source)} AS {_quoted(c.name)}" for c in contract.columns)
        duck.execute(f"CREATE TEMP TABLE cells AS SELECT {cells}, __row FROM source")
        for column in contract.columns:
            _require_kind(judge, column)
        judge.require(
            f"SELECT __row FROM cells WHERE {_quoted(contract.key)} IS NULL",
            Code.NO_KEY,
            f"have no {contract.key} (the key)",
        )
        _require_offsets(judge)
        _add_times(judge)
        judge.table = "rows"
        judge.require(
            f"SELECT __row FROM rows WHERE {RECORDED_AT} < {EVENT_TIME}",
            Code.RECORDED_BEFORE_EVENT,
            "were recorded before the event",
            next_step="correct the row, or the contract's `times`",
        )
        _require_past(judge, now or datetime.now(UTC))
        _require_landing(judge)
        if contract.erasure:
            judge.require(
                f"SELECT __row FROM rows WHERE {_quoted(contract.erasure.subject)} IS NULL",
                Code.NO_SUBJECT,
                f"have no {contract.erasure.subject} (the person whose key seals the row)",
            )
        _require_one_truth(judge, first_wins=first_wins)
        return _ordered(duck, "rows", contract, claim_schema(contract))


def merge_files(files: list[Path], contract: Contract) -> "pa.Table":
    """Return the distinct rows of all files in log order: the same rows in any split and order give the same table."""
    with _duck(files=True) as duck:
        duck.execute("CREATE TEMP VIEW rows AS " + _scan(files))
        return _ordered(duck, "rows", contract, log_schema(contract))


def compare_rows(known: "pa.Table", arriving: "pa.Table", contract: Contract) -> list[bool | None]:
    """Say of each arriving row whether `known` holds it: None is no, False is that its moment is told differently.

    A moment of a claim is its key and recorded time.
    """
    import pyarrow as pa

    key = _quoted(contract.key)
    rest = [_quoted(name) for name in log_columns(contract)]
    same = " AND ".join(f"known.{name} IS NOT DISTINCT FROM arriving.{name}" for name in rest)
    with _duck() as duck:
        duck.register("known", known)
        duck.register("arriving", arriving.append_column("__row", pa.array(range(arriving.num_rows))))
        found = dict(
            duck.execute(
                f"SELECT arriving.__row, bool_or({same}) FROM known JOIN arriving ON known.{key} = arriving.{key}"
                f" AND known.{RECORDED_AT} = arriving.{RECORDED_AT} GROUP BY ALL"
            ).fetchall()
        )
    return [found.get(row) for row in range(arriving.num_rows)]


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


class _Judge:
    """Applies one rule after the other to the rows at hand: a broken one raises, or sets its rows aside."""

    def __init__(self, duck: Any, source: SourceTable, contract: Contract, aside: SetAside | None) -> None:
        self.duck, self.source, self.contract, self.aside = duck, source, contract, aside
        self.table = "cells"

    def require(
        self, rows: str, code: Code, what: str, next_step: str = "complete the row, or leave it out", **expected: str
    ) -> None:
        """Go on without the rows that the query finds. Raises BadInput when it finds any and none may be set aside."""

        def refusal(count: int, first: int) -> BadInput:
            return BadInput(
                f"{self.source.path}: {count:,} of {self.source.columns.num_rows:,} rows {what}"
                f" (first at {self.source.place(first)})",
                next_step=next_step,
                count=count,
                first_row=first,
                code=str(code),
                **expected,
            )

        self.settle(rows, code, refusal)

    def settle(self, rows: str, code: Code, refusal: Callable[[int, int], BadInput]) -> None:
        """Set aside the rows that the query finds, or raise what `refusal` makes of their count and the first."""
        found = sorted(row for (row,) in self.duck.execute(f"SELECT DISTINCT __row FROM ({rows})").fetchall())
        if not found:
            return
        if self.aside is None:
            raise refusal(len(found), found[0])
        places = [row - 1 for row in found]
        self.aside.add(code, self.source.columns.take(places), self.contract.key, found)
        self.duck.execute(f"DELETE FROM {self.table} WHERE __row IN ({', '.join(map(str, found))})")


def _require_kind(judge: _Judge, column: Column) -> None:
    if column.kind is Kind.CATEGORY:
        return
    source = judge.source
    name, is_text = _quoted(column.name), source.is_text(column.name)

    def refusal(count: int, first: int) -> BadInput:
        return BadInput(
            f'expectations/{judge.contract.dataset}/contract.yaml: column "{column.name}" is declared a {column.kind},'
            f" but {count:,} of {source.columns.num_rows:,} values in {source.path} are not",
            expected=f"{_SPELLED[column.kind]}, or an empty cell",
            arrived=f"something else (first at {source.place(first)})",
            next_step=f'correct the file, or declare what means "not known" by `missing: […]` for "{column.name}"',
            column=column.name,
            count=count,
            first_row=first,
            code=str(Code.NOT_ITS_KIND),
        )

    judge.settle(
        f"SELECT __row FROM cells JOIN source USING (__row) WHERE ({_presence(column, f'source.{name}', is_text)})"
        f" AND (cells.{name} IS NULL OR NOT isfinite(cells.{name}))",
        Code.NOT_ITS_KIND,
        refusal,
    )


def _require_offsets(judge: _Judge) -> None:
    """Hold the written times to the offsets that the contract allows; typed times of Parquet carry none to judge."""
    offsets = judge.contract.landing.offsets
    if offsets is Offsets.ANY:
        return
    for column in judge.contract.columns:
        if column.role is not Role.TIME or column.kind is not Kind.TIMESTAMP or not judge.source.is_text(column.name):
            continue
        name = _quoted(column.name)
        if offsets is Offsets.REQUIRED:
            wrong, told = f"NOT regexp_matches(source.{name}, '{_OFFSET}')", "without a UTC offset"
        else:
            wrong = f"regexp_matches(source.{name}, '{_OFFSET}') AND NOT regexp_matches(source.{name}, '{_UTC}')"
            told = "in another time zone than UTC"
        judge.require(
            f"SELECT __row FROM cells JOIN source USING (__row)"
            f" WHERE contains(source.{name}, ':') AND cells.{name} IS NOT NULL AND {wrong}",
            Code.OTHER_TIME_ZONE,
            f"state {column.name} {told}",
            next_step="export it with the offset, or change the contract's `landing: {offsets: …}`",
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


def _add_times(judge: _Judge) -> None:
    import duckdb

    duck, contract = judge.duck, judge.contract
    duck.execute("SET disabled_optimizers = 'common_subexpressions'")  # else a repeated part is computed outside TRY
    wanted = {
        EVENT_TIME: ("event", contract.times.event, Code.NO_EVENT_TIME),
        RECORDED_AT: ("recorded", contract.times.recorded, Code.NO_RECORDED_TIME),
    }
    named = "" if SOURCE_NAME in contract.names else f", {_text(judge.source.name)} AS {SOURCE_NAME}"
    selected = ["* EXCLUDE (source_name)" if named else "*"]
    for name, (which, expression, _) in wanted.items():
        if name in contract.names:
            continue
        selected.append(f"TRY(CAST(({expression}) AS TIMESTAMP)) AS {name}")
        try:
            duck.execute(f"SELECT {selected[-1]} FROM (SELECT *{named} FROM cells) LIMIT 0")
        except duckdb.Error as error:
            raise BadInput(
                f"expectations/{contract.dataset}/contract.yaml: `times.{which}` is not an expression over the columns",
                arrived=str(error).splitlines()[0],
                next_step="correct the expression (DuckDB SQL over the declared columns)",
            ) from None
    duck.execute(f"CREATE TEMP TABLE rows AS SELECT {', '.join(selected)} FROM (SELECT *{named} FROM cells)")
    judge.table = "rows"
    for name, (which, _, code) in wanted.items():
        judge.require(
            f"SELECT __row FROM rows WHERE {name} IS NULL OR NOT isfinite({name})",
            code,
            f"have no {name} (the contract's `times.{which}`)",
            next_step="complete the columns it is computed from, or correct the expression",
        )


def _require_past(judge: _Judge, now: datetime) -> None:
    skew = timedelta(minutes=judge.contract.landing.clock_skew_minutes)
    latest = (now.astimezone(UTC) + skew).replace(tzinfo=None)
    judge.require(
        f"SELECT __row FROM rows WHERE {RECORDED_AT} > TIMESTAMP '{latest.isoformat(sep=' ')}'",
        Code.RECORDED_IN_FUTURE,
        "were recorded in the future",
        next_step="correct the row or this machine's clock, or land it when its time has come",
    )


def _require_landing(judge: _Judge) -> None:
    """Hold the rows to the kinds of events, units and bounds that the contract states."""
    landing = judge.contract.landing
    if landing.event_kinds:
        known = ", ".join(map(_text, landing.event_kinds.known))
        column = landing.event_kinds.column
        judge.require(
            f"SELECT __row FROM rows WHERE {_quoted(column)} IS NULL OR {_quoted(column)} NOT IN ({known})",
            Code.UNKNOWN_EVENT_KIND,
            f"are of an unknown kind of event ({column})",
            next_step="correct the row, or add the kind to the contract's `landing: {event_kinds: …}`",
            expected=f"one of {', '.join(landing.event_kinds.known)}",
        )
    for column, bounds in landing.bounds.items():
        name = _quoted(column)
        if bounds.unit is not None and bounds.stated_in is not None:
            judge.require(
                f"SELECT __row FROM rows WHERE {name} IS NOT NULL"
                f" AND {_quoted(bounds.stated_in)} IS DISTINCT FROM {_text(bounds.unit)}",
                Code.OTHER_UNIT,
                f"state {column} in another unit ({bounds.stated_in})",
                next_step="convert the amount where it is exported, and state its unit",
                expected=bounds.unit,
            )
        outside = [
            f"{name} {sign} {limit!r}"
            for sign, limit in (("<", bounds.at_least), (">", bounds.at_most))
            if limit is not None
        ]
        if outside:
            judge.require(
                f"SELECT __row FROM rows WHERE {' OR '.join(outside)}",
                Code.OUT_OF_BOUNDS,
                f"hold a {column} out of bounds",
                next_step="correct the row (another unit?), or the contract's `landing: {bounds: …}`",
                expected=f"{bounds.at_least} to {bounds.at_most}",
            )


def _require_one_truth(judge: _Judge, *, first_wins: bool) -> None:
    key, source = _quoted(judge.contract.key), judge.source
    contents = ", ".join(_quoted(name) for name in claim_columns(judge.contract))
    moments = (
        f"SELECT {key}, {RECORDED_AT} FROM (SELECT DISTINCT {contents} FROM rows) GROUP BY ALL HAVING count(*) > 1"
    )

    def refusal(count: int, first: int) -> BadInput:
        return BadInput(
            f"{source.path}: {count:,} rows tell one claim at one recorded time in different ways"
            f" (first at {source.place(first)})",
            expected=f"one content for each `{judge.contract.key}` and recorded time",
            next_step="keep the true row, or record the correction at a later time",
            count=count,
            first_row=first,
            code=str(Code.TWO_TRUTHS),
        )

    differing = f"SELECT __row FROM rows JOIN ({moments}) USING ({key}, {RECORDED_AT})"
    if first_wins:
        differing = (
            f"SELECT __row FROM (SELECT __row, row({contents}) AS told, first_value(row({contents})) OVER"
            f" (PARTITION BY {key}, {RECORDED_AT} ORDER BY __row) AS first FROM rows) WHERE told IS DISTINCT FROM first"
        )
    judge.settle(differing, Code.TWO_TRUTHS, refusal)


def _ordered(duck: Any, table: str, contract: Contract, schema: "pa.Schema") -> "pa.Table":
    """Return the distinct rows, ordered by recorded time, then key, then everything else."""
    import duckdb
    import pyarrow as pa

    ordered = dict.fromkeys([RECORDED_AT, contract.key, *schema.names])
    columns = ", ".join(_quoted(name) for name in schema.names)
    order = ", ".join(f"{_quoted(name)} NULLS FIRST" for name in ordered)
    try:
        answer = duck.sql(f"SELECT DISTINCT {columns} FROM {table} ORDER BY {order}")
        rows: pa.Table = answer.to_arrow_table().cast(schema).combine_chunks()
        return rows
    except (duckdb.Error, pa.ArrowException) as error:
        raise BadInput(
            f"the log of `{contract.dataset}` does not have the columns of its contract",
            expected=f"{len(schema)} columns by expectations/{contract.dataset}/contract.yaml in every landed batch",
            arrived=type(error).__name__,
            next_step="restore the contract the claims were landed with, or land them anew into an empty log",
        ) from None
