"""How a folded month differs from an earlier fold of it: told by hashes of rows, on the files of both."""

# ruff: noqa: S608 - names are quoted, and paths are our own
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import Contract, Kind
from fraud_ml.data.duck import connect, io_errors, quoted, text
from fraud_ml.data.tables import claim_columns, claim_schema
from fraud_ml.validation.adjusting import CLEARLY_FEW, Anew
from fraud_ml.validation.describing import describe_numbers
from fraud_ml.validation.profile import Profile
from fraud_ml.validation.profiling import estimate_distinct, rank_positives, told_columns

if TYPE_CHECKING:
    import pyarrow as pa

FEW_CHANGES = 0.25  # share of a month's rows that may leave, or come, before it is cheaper to judge it whole


@dataclass(frozen=True)
class Compared:
    """The rows that only the former fold of a month holds, those that only the present one does, and what all give."""

    left: "pa.Table"
    came: "pa.Table"
    anew: Anew

    @property
    def differing(self) -> int:
        return self.left.num_rows + self.came.num_rows


class Comparison:
    """Compares folded months of which nobody can be erased: their files hold the claims' own values."""

    def __init__(self, duck: Any, contract: Contract) -> None:
        self._duck, self._contract = duck, contract
        self._columns = ", ".join(map(quoted, claim_columns(contract)))

    def compare(self, file: Path, profile: Profile, now: Path, month: str) -> Compared | None:
        """Return how the month in `now` differs from the former in `file`, whose profile is known.

        None where more than a part of the rows differs, or a file cannot be read: a cache may lose it at any time. A
        row is told by 128 bits of hashes, of its key and of all its columns.
        """
        try:
            self._hash("former", file)
            self._hash("now", now)
            rows = self._count("now")
            left, came = self._only_in("former", file, "now", rows), self._only_in("now", now, "former", rows)
            if left is None or came is None:
                return None
            return Compared(left, came, self._count_anew(now, profile, month, rows))
        except io_errors():
            return None

    def _hash(self, name: str, file: Path) -> None:
        """Leave in table `name` of each row its place, and the hashes of its key, of all it tells, and but the key."""
        key, told = quoted(self._contract.key), told_columns(self._contract, claim_columns(self._contract))
        self._duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT file_row_number AS place, hash({key}) AS key,"
            f" hash({self._columns}) AS told, hash({told}) AS copied FROM {_rows_of(file)}"
        )

    def _count(self, rows: str) -> int:
        ((count,),) = self._duck.execute(f"SELECT count(*) FROM {rows}").fetchall()
        return int(count)

    def _only_in(self, name: str, file: Path, other: str, rows: int) -> "pa.Table | None":
        """Return the rows that `other` has not, or None where they are more than a part of `rows`."""
        schema = claim_schema(self._contract)
        self._duck.execute(
            f"CREATE OR REPLACE TEMP TABLE places AS SELECT place FROM {name} ANTI JOIN {other} USING (key, told)"
        )
        differing = self._count("places")
        if differing > FEW_CHANGES * rows:
            return None
        if not differing:
            return schema.empty_table()
        found = self._duck.sql(
            f"SELECT {self._columns} FROM {_rows_of(file)} WHERE file_row_number IN (SELECT place FROM places)"
            " ORDER BY file_row_number"
        )
        return found.to_arrow_table().cast(schema)

    def _count_anew(self, file: Path, profile: Profile, month: str, rows: int) -> Anew:
        from pyarrow import parquet

        label = quoted(self._contract.label.column)
        marks = ", ".join(
            f"coalesce({label} IN ({', '.join(map(text, words))}), false) AS {name}"
            for name, words in (
                ("__positive", self._contract.label.positive),
                ("__negative", self._contract.label.negative),
            )
        )
        self._duck.execute(
            f"CREATE OR REPLACE TEMP VIEW claims AS SELECT *, {text(month)} AS __month, {marks} FROM {_rows_of(file)}"
        )
        ranks = rank_positives(self._duck, self._contract.key)
        many = [
            name
            for name, column in profile.columns.items()
            if column.kind is Kind.CATEGORY and (column.counts is None or len(column.counts) > CLEARLY_FEW // 2)
        ]
        estimated = estimate_distinct(self._duck, many)
        copies = rows - self._count("(SELECT DISTINCT copied FROM now)")
        columns = [column.name for column in self._contract.columns if column.kind is not Kind.CATEGORY]
        numbers = describe_numbers(parquet.read_table(file, columns=columns), self._contract)
        return Anew(rows, copies, ranks.get(month, 0), estimated.get(month, {}), numbers)


@contextmanager
def comparison(contract: Contract) -> Iterator[Comparison]:
    """Open a comparison of months."""
    with connect(files=True) as duck:
        yield Comparison(duck, contract)


# --- inside ---------------------------------------------------------------------------------------------------------


def _rows_of(file: Path) -> str:
    return f"read_parquet({text(str(file))}, hive_partitioning = false, file_row_number = true)"
