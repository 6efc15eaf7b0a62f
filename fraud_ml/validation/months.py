"""The months of a fold as the verdict wants them: judged one after another, adjusted, or taken from the cache."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import FoldManifest
from fraud_ml.contract import Contract
from fraud_ml.data.fold import read_month, verified_month
from fraud_ml.data.sealing import open_rows, people_in
from fraud_ml.data.subject_keys import SnapshotKeys, SubjectKey
from fraud_ml.data.tables import log_schema
from fraud_ml.validation.adjusting import Change, adjusted
from fraud_ml.validation.changed_months import Compared, Comparison, EarlierFolds, comparison
from fraud_ml.validation.partial import Partial
from fraud_ml.validation.partial_cache import Judged, PartialCache, inputs_of, month_of
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


@dataclass(frozen=True)
class _Former:
    """A month's file that changed, its partial of before, and where it lies as it was then."""

    name: str
    partial: Partial
    file: Path


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
        self._earlier = earlier if contract.erasure is None else None  # else the files hold sealed values

    def partials(self, judges: Judges, as_of: date, rows_at_once: int) -> Iterator[Partial]:
        """Yield each month's partial: from the cache, or adjusted or judged and kept there."""
        unknown: list[str] = []
        for name in sorted(self._manifest.files):
            partial = self._cache.take(self._inputs(name), self._people()) if self._cache else None
            if partial is not None and not partial.summary.checks.times["event_time"].after(as_of):
                self._note(name)
                yield partial
            else:
                unknown.append(name)
        whole: list[str] = []
        for name, partial in self._adjusted(unknown, judges, as_of, rows_at_once):
            if partial is None:
                whole.append(name)
            else:
                yield partial
        waiting: list[tuple[str, pa.Table]] = []
        for name in sorted(whole):
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

    def _adjusted(
        self, names: Sequence[str], judges: Judges, as_of: date, rows_at_once: int
    ) -> Iterator[tuple[str, Partial | None]]:
        """Yield each month with its partial, adjusted and kept, or with None where it has to be judged whole."""
        known = [one for name in names if (one := self._former(name))]
        yield from ((name, None) for name in names if name not in {one.name for one in known})
        if not known:
            return
        waiting: list[tuple[_Former, Compared]] = []
        with comparison(self._contract) as files, ThreadPoolExecutor(1) as beside:
            comparing = [beside.submit(self._compare, one, files) for one in known]
            _ = judges.expectations  # takes seconds to load, meanwhile
            for one, outcome in zip(known, comparing, strict=True):
                compared = outcome.result()
                if compared is None:
                    yield one.name, None
                    continue
                waiting.append((one, compared))
                if sum(compared.differing for _, compared in waiting) > rows_at_once:
                    yield from self._from_changes(waiting, judges, as_of)
                    waiting = []
        yield from self._from_changes(waiting, judges, as_of)

    def _former(self, name: str) -> _Former | None:
        """Return how the month was judged last, where both its partial and its rows are still there."""
        if self._cache is None or self._earlier is None:
            return None
        last = self._cache.last(self._month(name))
        partial = self._cache.take(last.inputs, None) if last else None
        found = self._earlier.cache.find(last.fold_inputs) if last else None
        if last is None or partial is None or found is None:
            return None
        file, sha256 = found
        return _Former(name, partial, file) if last.inputs == inputs_of(sha256, self._contract, self._rules) else None

    def _compare(self, former: _Former, files: Comparison) -> Compared | None:
        now = verified_month(self._folder, former.name, self._manifest)
        summary = former.partial.summary
        return files.compare(former.file, summary.profile, now, summary.month)

    def _from_changes(
        self, changes: "Sequence[tuple[_Former, Compared]]", judges: Judges, as_of: date
    ) -> Iterator[tuple[str, Partial | None]]:
        left = self._by_month([compared.left for _, compared in changes], judges, as_of)
        came = self._by_month([compared.came for _, compared in changes], judges, as_of)
        for one, compared in changes:
            month = one.partial.summary.month
            partial = adjusted(Change(one.partial, left.get(month), came.get(month)), compared.anew, judges.counted)
            if partial is not None and partial.summary.checks.times["event_time"].after(as_of):
                partial = None  # late rows are none of what a cache may hold
            if partial is not None:
                self._keep(one.name, partial, None)
            yield one.name, partial

    def _by_month(self, tables: "Sequence[pa.Table]", judges: Judges, as_of: date) -> dict[str, Partial]:
        import pyarrow as pa

        rows = pa.concat_tables(tables) if tables else None
        if rows is None or not rows.num_rows:
            return {}
        return {partial.summary.month: partial for partial in judge_months(rows.to_pandas(), judges, as_of)}

    def _inputs(self, name: str) -> str:
        return inputs_of(self._manifest.files[name], self._contract, self._rules)

    def _month(self, name: str) -> str:
        return month_of(name, self._contract, self._rules)

    def _keep(self, name: str, partial: Partial, people: Mapping[str, SubjectKey] | None) -> None:
        if self._cache and partial.summary.may_be_kept:
            self._cache.keep(self._inputs(name), partial, people)
            self._note(name)

    def _note(self, name: str) -> None:
        """Note as what the month was judged last, for a later fold that differs in a few rows."""
        if self._cache and self._earlier and name in self._earlier.inputs:
            judged = Judged(self._inputs(name), self._earlier.inputs[name])
            if self._cache.last(self._month(name)) != judged.sealed():
                self._cache.note_last(self._month(name), judged)

    def _read(self, name: str, columns: Sequence[str] | None = None) -> "pa.Table":
        return read_month(self._folder, name, self._manifest, self._contract, columns)

    def _people(self) -> Mapping[str, SubjectKey] | None:
        return None if self._contract.erasure is None else self._keys.people

    def _people_in(self, rows: "pa.Table") -> Mapping[str, SubjectKey] | None:
        if self._contract.erasure is None:
            return None
        return {name: self._keys.people[name] for name in people_in(rows, self._contract.erasure)}
