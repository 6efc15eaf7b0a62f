"""Read a claims file (.csv, .jsonl, .ndjson, each also .gz or .zst, and .parquet) into the columns of its contract.

Cells of text files stay text here: parsing them is the log's business. What is structurally wrong stops the reading
with one sentence naming file, line or column, never a cell. A UTF-8 byte-order mark before a CSV header that otherwise
matches is noise of the exporting program: it is ignored with a warning. A mark of another encoding is refused.
"""

import csv
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import Contract, Kind
from fraud_ml.data.sources.compression import unpacked, without_suffix
from fraud_ml.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

_UTF8_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class SourceTable:
    """Claims as they were written: the contract's columns in its order. Text, unless Parquet holds numbers or times."""

    path: str  # the file, the address or the messages they stand in
    columns: "pa.Table"
    digest: str  # SHA-256 of the bytes they were read from
    lines: bool  # whether row n (from 1) stands in line n + `header_lines`
    header_lines: int = 1
    name: str = ""  # what a batch's manifest says of its source

    def is_text(self, name: str) -> bool:
        return str(self.columns.schema.field(name).type) == "string"

    def place(self, row: int) -> str:
        """Return where a row (from 1) stands, for a sentence."""
        return f"row {row:,}" + (f", line {row + self.header_lines:,}" if self.lines else "")


def read_file(path: Path, contract: Contract) -> SourceTable:
    """Return the file's columns. Raises BadInput when the file is not one that the contract describes."""
    require_suffix(str(path))
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="check the path") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: a folder, not a file", next_step="name one file in it") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror})") from None
    return read_content(str(path), raw, contract, name=path.name)


def read_content(path: str, raw: bytes, contract: Contract, *, name: str = "") -> SourceTable:
    """Return the columns of a file's bytes; `path` says how they are written and where to look.

    Raises BadInput when they are not what the contract describes.
    """
    read = _READERS[require_suffix(path)]
    content = unpacked(path, raw)
    if not content.strip():
        raise BadInput(f"{path}: the file is empty", expected="a header and claims", next_step="export it again")
    columns, lines, header_lines = read(path, content, contract)
    if columns.num_rows == 0:
        raise BadInput(f"{path}: a header but no claims", expected="at least one row", next_step="export it again")
    return SourceTable(path, columns, hashlib.sha256(raw).hexdigest(), lines, header_lines, name or path)


def can_read(path: str) -> bool:
    """Say whether a file of that name is one that holds claims."""
    return PurePosixPath(without_suffix(path)).suffix.lower() in _READERS


def require_suffix(path: str) -> str:
    """Return the suffix that says how the file is written. Raises BadInput when it is none of ours."""
    if not can_read(path):
        raise BadInput(
            f"{path}: no way to read such a file",
            expected=f"a name ending in {', '.join(_READERS)}, or these with .gz or .zst",
        )
    return PurePosixPath(without_suffix(path)).suffix.lower()


# --- CSV ------------------------------------------------------------------------------------------------------------


def _read_csv(path: str, content: bytes, contract: Contract) -> "tuple[pa.Table, bool, int]":
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    text, marked = _without_mark(path, content)
    text = _as_utf8(path, text, contract.source.encoding)
    text = text if text.endswith(b"\n") else text + b"\n"
    delimiter = contract.source.delimiter
    first_line = text.lstrip(b"\r\n").split(b"\n", 1)[0].decode().rstrip("\r")
    header = next(csv.reader([first_line], delimiter=delimiter), [])
    _check_delimiter(path, first_line, header, contract)
    _check_header(path, header, contract, line=_line_of_record(text, 1), marked=marked)
    if marked:
        log.warning("%s:1: begins with a UTF-8 byte-order mark; ignored, because the header matches", path)
    _check_quotes(path, text)

    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            arrow_csv.ReadOptions(use_threads=False, block_size=max(len(text) + 1, 1 << 20)),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in header},
                strings_can_be_null=True,
                null_values=[""],
                include_columns=list(contract.names),
            ),
        )
    except pa.ArrowInvalid:
        raise BadInput(f"{path}: not a CSV file", expected="rows of equal width", next_step="export it again") from None
    if ragged:
        first = ragged[0]
        line = _line_of_record(text, first.number)
        where = f"{path}:{line}" if line else f"{path}: row {first.number - 1:,}"
        raise BadInput(
            f"{where}: {len(ragged):,} row(s) do not have as many cells as the header",
            expected=f"{first.expected_columns} cells",
            arrived=f"{first.actual_columns} in the first of them",
            next_step=f"quote cells that hold `{delimiter}` or a line break, or complete the row",
        )
    return table, text.count(b"\n") == table.num_rows + 1, 1


def _without_mark(path: str, content: bytes) -> tuple[bytes, bool]:
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise BadInput(f"{path}:1: written in {encoding}", expected="UTF-8", next_step="save it as UTF-8")
    return content.removeprefix(_UTF8_MARK), content.startswith(_UTF8_MARK)


def _as_utf8(path: str, content: bytes, encoding: str) -> bytes:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}:{line}: not readable as {encoding}",
            next_step=f"save the file as {encoding}, or declare `source: {{encoding: …}}` in the contract",
            line=line,
        ) from None
    except LookupError:
        raise BadInput(
            f"the contract's encoding `{encoding}` is not known", expected="for example utf-8 or latin-1"
        ) from None
    return content if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else text.encode()


def _check_delimiter(path: str, first_line: str, header: list[str], contract: Contract) -> None:
    names = set(contract.names)
    declared = contract.source.delimiter

    def fit(delimiter: str) -> int:
        return len(names.intersection(next(csv.reader([first_line], delimiter=delimiter), [])))

    best = max(_DELIMITERS, key=fit)
    if best != declared and fit(best) > max(1, 2 * fit(declared)):
        raise BadInput(
            f"{path}:1: cells are separated by {_DELIMITERS[best]}",
            expected=f"{len(names)} columns separated by {_DELIMITERS.get(declared, f'`{declared}`')}",
            arrived=f"{len(header)} column(s)",
            next_step=f"export it again, or declare `source: {{delimiter: {json.dumps(best)}}}` in"
            f" expectations/{contract.dataset}/contract.yaml",
        )


def _check_header(path: str, header: list[str], contract: Contract, *, line: int | None, marked: bool = False) -> None:
    """Raise unless the header holds exactly the contract's columns; their order is free."""
    where = f"{path}:{line}" if line else path
    after_mark = " (after its UTF-8 byte-order mark)" if marked else ""
    known = set(contract.names)
    found = known.intersection(header)
    if 2 * len(found) < len(known):  # these may be a claim's values: do not repeat them
        raise BadInput(
            f"{where}: not a header of `{contract.dataset}`{after_mark}: it has {len(found)} of {len(known)} columns",
            expected=_listed(list(contract.names)),
            arrived=f"{len(header)} other or unnamed column(s), as in a file without a header",
            next_step="add the header, or choose the dataset this file belongs to",
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    missing = [name for name in contract.names if name not in found]
    extra = [name for name in header if name not in known]
    declared = f"expectations/{contract.dataset}/contract.yaml"
    if twice:
        raise BadInput(
            f"{where}: column {_listed(twice)} stands twice in the header{after_mark}", next_step="keep one of them"
        )
    if missing:
        raise BadInput(
            f"{where}: column {_listed(missing)} is missing{after_mark}",
            expected=f"the {len(known)} columns of {declared}",
            arrived=f"{len(header)} columns" + (f", among them the unknown {_listed(extra)}" if extra else ""),
            next_step=f"export it again with {_listed(missing)}, or correct the contract",
        )
    if extra:
        raise BadInput(
            f"{where}: unknown column {_listed(extra)}{after_mark}",
            expected=f"only the {len(known)} columns of {declared}",
            next_step="leave it out, or declare it in the contract (`role: context` keeps it from models)",
        )


def _check_quotes(path: str, text: bytes) -> None:
    if text.count(b'"') % 2:
        odd = (number for number, line in enumerate(text.split(b"\n"), start=1) if line.count(b'"') % 2)
        line_number = next(odd, 1)
        raise BadInput(
            f"{path}:{line_number}: a quotation mark is never closed", next_step="close it, or double it inside a cell"
        )


def _line_of_record(text: bytes, number: int) -> int | None:
    """Return the line of the n-th record (from 1, blank lines left out); None when cells may hold line breaks."""
    if b'"' in text:
        return 1 if number == 1 else None
    filled = (line for line, content in enumerate(text.split(b"\n"), start=1) if content.strip(b"\r"))
    return next((line for nth, line in enumerate(filled, start=1) if nth == number), None)


# --- JSON lines -----------------------------------------------------------------------------------------------------


def _read_json_lines(path: str, content: bytes, contract: Contract) -> "tuple[pa.Table, bool, int]":
    """One object a line; numbers keep their spelling; a name that a line leaves out is a missing cell."""
    import pyarrow as pa

    text, _ = _without_mark(path, content)
    lines = _as_utf8(path, text, "utf-8").decode().split("\n")
    rows: list[dict[str, str | None]] = []
    blank = 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            rows.append(_parse_json_line(path, number, line))
        elif number < len(lines):
            blank += 1
    seen = dict.fromkeys(name for row in rows for name in row)
    _check_header(path, list(seen), contract, line=None)
    table = pa.table({name: pa.array([row.get(name) or None for row in rows], pa.string()) for name in contract.names})
    return table, blank == 0, 0


def _parse_json_line(path: str, number: int, line: str) -> dict[str, str | None]:
    return parse_json_object(f"{path}:{number}", line)


def parse_json_object(place: str, text: str) -> dict[str, str | None]:
    """Return one claim written as a flat JSON object, numbers as they were spelled. Raises BadInput naming `place`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise BadInput(f"{place}: a name stands twice in the object", next_step="keep one of them")
        return dict(pairs)

    try:
        row = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise BadInput(f"{place}: not valid JSON (column {error.colno})", next_step="one object a line") from None
    except RecursionError:
        raise BadInput(f"{place}: nested too deeply", expected="one flat object") from None
    if not isinstance(row, dict):
        raise BadInput(f"{place}: not a JSON object", expected="one object a line", arrived=type(row).__name__)
    for name, value in row.items():
        if isinstance(value, dict | list):
            raise BadInput(f"{place}: a nested value in column {_listed([name])}", expected="text, a number or null")
        if isinstance(value, bool):
            row[name] = "true" if value else "false"
    return row


# --- Parquet --------------------------------------------------------------------------------------------------------


def _read_parquet(path: str, content: bytes, contract: Contract) -> "tuple[pa.Table, bool, int]":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        _check_header(path, file.schema_arrow.names, contract, line=None)
        table = file.read(columns=list(contract.names))
        _require_utf8(path, table)
        table.validate(full=True)
        columns = {
            column.name: _plain(path, column.name, column.kind, table[column.name]) for column in contract.columns
        }
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError):
        raise BadInput(f"{path}: damaged, or not Parquet", next_step="copy the whole file again") from None
    return pa.table(columns), False, 0


def _require_utf8(path: str, table: "pa.Table") -> None:
    """Refuse text of other bytes than UTF-8, which Parquet declares and does not check."""
    import pyarrow as pa

    for name in table.column_names:
        values = table[name]
        held = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if not (pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held)):
            continue
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            raise BadInput(
                f"{path}: column `{name}` holds text that is not UTF-8",
                expected="UTF-8, as Parquet declares it",
                next_step="export the column again, or copy the whole file again",
                column=name,
                code="LAND013",
            ) from None


def _plain(path: str, name: str, kind: Kind, values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return text; float64 or timestamp[us] (UTC) where such a column is declared and the file holds it."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    held = values.type
    if types.is_null(held):
        return values.cast(pa.string())
    if types.is_string(held) or types.is_large_string(held) or types.is_string_view(held):
        text = values.cast(pa.string())
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    is_number = types.is_integer(held) or types.is_floating(held) or types.is_decimal(held)
    is_moment = types.is_timestamp(held) or types.is_date(held)
    if kind is Kind.NUMBER and is_number:
        numbers = values.cast(pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if kind is Kind.TIMESTAMP and is_moment:
        return values.cast(
            pa.timestamp("us", tz="UTC") if getattr(held, "tz", None) else pa.timestamp("us"), safe=False
        ).cast(pa.timestamp("us"))
    if kind is Kind.CATEGORY and types.is_floating(held):  # 1.0 is how a table with gaps spells 1
        whole = pc.equal(pc.floor(values), values)
        as_integers = pc.if_else(whole, values, pa.scalar(None, held)).cast(pa.int64()).cast(pa.string())
        filled = pc.if_else(pc.is_nan(values), pa.scalar(None, held), values)
        return pc.coalesce(as_integers, filled.cast(pa.string()))
    if kind is Kind.CATEGORY and (is_number or types.is_boolean(held)):
        return values.cast(pa.string())
    raise BadInput(
        f"{path}: column `{name}` holds {held}",
        expected=f"text or what a {kind} is made of",
        next_step="export the column again, or correct its kind in the contract",
    )


_READERS: dict[str, Callable[[str, bytes, Contract], "tuple[pa.Table, bool, int]"]] = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _listed(names: list[str], most: int = 6) -> str:
    shown = ", ".join(f"`{name[:40]}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
