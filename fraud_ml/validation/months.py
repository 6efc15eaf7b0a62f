"""The months of a fold as the verdict wants them: judged one after another, adjusted, or taken from the cache."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import FoldManifest
from fraud_ml.contract import Contract
from fraud_ml.data.fold import read_month
from fraud_ml.data.sealing import open_rows, people_in
from fraud_ml.data.subject_keys import SnapshotKeys, SubjectKey
from fraud_ml.data.tables import log_schema
from fraud_ml.validation.changed_months import ChangedMonths, EarlierFolds
from fraud_ml.validation.partial import Partial
from fraud_ml.validation.partial_cache import PartialCache, inputs_of
from fraud_ml.validation.partition import Judges, judge_months
from fraud_ml.validation.verdict import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_AT_ONCE = 200_000  # small months are judged together, up to so many rows; a larger one alone


def table_of_fold(
    folder: Path,
    manifest: FoldManifest,
    contract: Contract,
    keys: SnapshotKeys,
    *,
    rules: Path,
    cache: PartialCache | None,
    earlier: EarlierFolds | None = None,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> Table:
    """Return the claims of the fold in `folder`, of which `manifest` tells.

    keys: those that open personal values. Months that the cache holds under the same rules are not read; of a month
    that it holds as it was in an `earlier` fold, only the rows that differ are judged, unless people can be erased.
    Reading a month raises Tampered unless its bytes are those that the manifest names.
    """
    months = _Months(folder, manifest, contract, keys, rules, cache, earlier)
    return Table(manifest.claims, lambda judges, on: months.partials(judges, on, rows_at_once), months.columns)


# --- inside ---------------------------------------------------------------------------------------------------------


class _Months:
    def __init__(
        self,
        folder: Path,
        manifest: FoldManifest,
        contract: Contract,
        keys: SnapshotKeys,
        rules: Path,
        cache: PartialCache | None,
        earlier: EarlierFolds | None,
    ) -> None:
        self._folder, self._manifest, self._contract = folder, manifest, contract
        self._keys, self._rules, self._cache = keys, rules, cache
        self._changed: ChangedMonths | None = None
        if cache and earlier and contract.erasure is None:  # else the files hold sealed values
            self._changed = ChangedMonths(folder, manifest, contract, rules, cache, earlier)

    def partials(self, judges: Judges, as_of: date, rows_at_once: int) -> Iterator[Partial]:
        """Yield each month's partial: from the cache, or adjusted or judged, and kept there."""
        names = []
        for name in sorted(self._manifest.files):
            partial = self._cache.take(self._inputs(name), self._people()) if self._cache else None
            if partial is None or partial.is_late(as_of):
                names.append(name)
                continue
            if self._changed:
                self._changed.note(name)
            yield partial
        if self._changed:
            whole = []
            for name, adjusted in self._changed.adjusted(names, judges, as_of, rows_at_once):
                if adjusted is None:
                    whole.append(name)
                    continue
                self._keep(name, adjusted, None)
                yield adjusted
            names = sorted(whole)
        waiting: list[tuple[str, pa.Table]] = []
        for name in names:
            rows = self._read(name)
            if waiting and sum(held.num_rows for _, held in waiting) + rows.num_rows > rows_at_once:
                yield from self._judged(waiting, judges, as_of)
                waiting = []
            waiting.append((name, rows))
        yield from self._judged(waiting, judges, as_of)
        if self._cache:
            self._cache.trim()

    def columns(self, names: Sequence[str] | None) -> "pd.DataFrame":
        """Return these columns of all claims, or all of them."""
        import pyarrow as pa

        wanted = None if names is None else [name for name in names if name in log_schema(self._contract).names]
        if self._contract.erasure is not None:
            wanted = None  # personal values lie in one sealed column
        parts = [self._read(name, wanted) for name in sorted(self._manifest.files)]
        if not parts:
            parts = [log_schema(self._contract).empty_table()]
        opened = pa.concat_tables(parts)
        if self._contract.erasure is not None:
            opened = open_rows(opened, self._contract, self._keys)
        frame: pd.DataFrame = (opened if names is None or wanted else opened.select(list(names))).to_pandas()
        return frame

    def _judged(self, waiting: "Sequence[tuple[str, pa.Table]]", judges: Judges, as_of: date) -> Iterator[Partial]:
        """Judge months together, whose files come in the order of their months, and keep each."""
        import pyarrow as pa

        if not waiting:
            return
        rows = pa.concat_tables([rows for _, rows in waiting])
        found = judge_months(open_rows(rows, self._contract, self._keys).to_pandas(), judges, as_of)
        for (name, rows), partial in zip(waiting, found, strict=True):
            self._keep(name, partial, self._people_in(rows))
            yield partial

    def _inputs(self, name: str) -> str:
        return inputs_of(self._manifest.files[name], self._contract, self._rules)

    def _keep(self, name: str, partial: Partial, people: Mapping[str, SubjectKey] | None) -> None:
        if self._cache and partial.summary.may_be_kept:
            self._cache.keep(self._inputs(name), partial, people)
            if self._changed:
                self._changed.note(name)

    def _read(self, name: str, columns: Sequence[str] | None = None) -> "pa.Table":
        return read_month(self._folder, name, self._manifest, self._contract, columns)

    def _people(self) -> Mapping[str, SubjectKey] | None:
        return None if self._contract.erasure is None else self._keys.people

    def _people_in(self, rows: "pa.Table") -> Mapping[str, SubjectKey] | None:
        if self._contract.erasure is None:
            return None
        return {name: self._keys.people[name] for name in people_in(rows, self._contract.erasure)}
