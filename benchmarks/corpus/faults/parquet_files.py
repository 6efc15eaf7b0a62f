"""Parquet files that are cut off, damaged, encrypted, or of another schema."""

import io
from typing import TYPE_CHECKING, Any

from benchmarks.corpus.family import Level, family, some
from benchmarks.corpus.scenes import File, Scene, as_csv

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

READ = ("LAND013",)


def typed(scene: Scene) -> "pa.Table":
    """Return the arriving rows as a source would hold them in Parquet: text, float64 and timestamps."""
    import pyarrow as pa

    from fraud_ml.data.sources.files import read_content
    from fraud_ml.data.tables import claim_schema, parse_rows

    file = as_csv(scene.arriving)
    rows = parse_rows(read_content(file.name, file.content, scene.contract), scene.contract, now=scene.now)
    assert isinstance(rows, pa.Table)
    assert rows.schema == claim_schema(scene.contract)
    return rows.select(list(scene.contract.names))


def written(table: "pa.Table", **options: Any) -> bytes:
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def _replaced(table: "pa.Table", column: str, values: Any) -> "pa.Table":
    return table.set_column(table.schema.get_field_index(column), column, values)


@family(
    why="the footer says what is where, and it is gone",
    severities={"half of it": 0.5, "its last bytes": 0.999},
    codes=READ,
    level=Level.FILE,
)
def parquet_cut_off(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    content = written(typed(scene))
    return File("delivery.parquet", content[: int(amount * len(content))])


@family(
    why="bytes turned over on the way: rows are lost, or are other rows",
    severities={"a hundred bytes": 100, "its footer": 0},
    codes=READ,
    level=Level.FILE,
)
def parquet_damaged(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    content = bytearray(written(typed(scene), write_page_checksum=True))
    footer = len(content) - int.from_bytes(content[-8:-4], "little") - 8
    places = dice.integers(4, footer, int(amount)) if amount else range(footer, footer + 24)
    for at in places:
        content[at] ^= 0xFF
    return File("delivery.parquet", bytes(content))


@family(
    why="an encrypted file is no claim to whoever lacks the key",
    severities={"footer and columns": 1},
    codes=READ,
    level=Level.FILE,
)
def parquet_encrypted(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    import base64

    import pyarrow.parquet as pq
    import pyarrow.parquet.encryption as pe

    class Wrapping(pe.KmsClient):  # type: ignore[misc]
        """Wraps keys by writing them down: this is a test's file, not a secret."""

        def __init__(self, _config: Any) -> None:
            super().__init__()

        def wrap_key(self, key_bytes: bytes, _master: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped: bytes, _master: str) -> bytes:
            return base64.b64decode(wrapped)

    table = typed(scene)
    config = pe.EncryptionConfiguration(footer_key="footer", column_keys={"columns": table.column_names})
    factory = pe.CryptoFactory(Wrapping)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return File("delivery.parquet", sink.getvalue())


@family(
    why="the source's schema moved on: what was a number is text, a list, or a record",
    severities={"a list": 0, "a record": 1, "true and false": 2, "bytes": 3, "a span of time": 4},
    codes=READ,
    level=Level.FILE,
)
def schema_evolved(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    import pyarrow as pa

    table = typed(scene)
    column = scene.line.numbers[0]  # type: ignore[assignment]
    count = table.num_rows
    values = (
        pa.array([[1.0]] * count),
        pa.array([{"value": 1.0, "unit": "EUR"}] * count),
        pa.array([True] * count),
        pa.array([b"1"] * count, pa.binary()),
        pa.array([86_400] * count, pa.duration("s")),
    )[int(amount)]
    return File("delivery.parquet", written(_replaced(table, str(column), values)))


@family(
    why="the numbers are text in the new export, and some of it is no number",
    severities={"one": 0.0, "tenth": 0.1},
    codes=("LAND001",),
    level=Level.FILE,
)
def schema_numbers_as_text(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    import pyarrow as pa

    column = scene.line.numbers[0]  # type: ignore[assignment]
    rows = scene.rows
    rows.loc[some(rows, amount, dice), str(column)] = "see letter"
    return File("delivery.parquet", written(_replaced(typed(scene), str(column), pa.array(rows[str(column)]))))


@family(
    why="infinity in a typed column passes every test for numbers",
    severities={"one": 0.0, "tenth": 0.1},
    codes=("LAND001",),
    level=Level.FILE,
)
def parquet_infinity(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    import pyarrow as pa

    name, table = scene.line.numbers[0], typed(scene)
    values = table[name].to_pylist()
    for row in dice.choice(len(values), max(1, int(amount * len(values))), replace=False):
        values[row] = float("inf") if row % 2 else float("-inf")
    return File("delivery.parquet", written(_replaced(table, name, pa.array(values, pa.float64()))))
