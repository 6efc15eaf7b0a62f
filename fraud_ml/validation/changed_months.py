"""Months that changed in a few rows since they were judged: adjusted, where what they were then is still at hand."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import FoldManifest
from fraud_ml.contract import Contract
from fraud_ml.data.fold import verified_month
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.validation.adjusting import Change, adjusted
from fraud_ml.validation.comparing import Compared, Comparison, comparison
from fraud_ml.validation.partial import Partial
from fraud_ml.validation.partial_cache import Judged, PartialCache, inputs_of, month_of
from fraud_ml.validation.partition import Judges, judge_months

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class EarlierFolds:
    """Where the months lie of folds that were made before.

    inputs: file of this fold -> what the month is folded from, as `Fold.inputs` tells it.
    """

    cache: FoldCache
    inputs: Mapping[str, str]


class ChangedMonths:
    """The months of the fold in `folder`, of a contract under which nobody can be erased: the files are not sealed."""

    def __init__(
        self,
        folder: Path,
        manifest: FoldManifest,
        contract: Contract,
        rules: Path,
        partials: PartialCache,
        earlier: EarlierFolds,
    ) -> None:
        self._folder, self._manifest, self._contract, self._rules = folder, manifest, contract, rules
        self._partials, self._earlier = partials, earlier

    def note(self, name: str) -> None:
        """Note the month as it is now, whose partial is kept, as what was judged last."""
        if name in self._earlier.inputs:
            judged = Judged(
                inputs_of(self._manifest.files[name], self._contract, self._rules), self._earlier.inputs[name]
            )
            if self._partials.last(self._month(name)) != judged.sealed():
                self._partials.note_last(self._month(name), judged)

    def adjusted(
        self, names: Sequence[str], judges: Judges, as_of: date, rows_at_once: int
    ) -> Iterator[tuple[str, Partial | None]]:
        """Yield each month with its partial, or with None where it has to be judged whole.

        rows_at_once: so many differing rows, of several months, are judged together.
        """
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
                    yield from _from_changes(waiting, judges, as_of)
                    waiting = []
        yield from _from_changes(waiting, judges, as_of)

    def _former(self, name: str) -> "_Former | None":
        """Return how the month was judged last, where both its partial and its rows are still there."""
        last = self._partials.last(self._month(name))
        partial = self._partials.take(last.inputs, None) if last else None
        found = self._earlier.cache.find(last.fold_inputs) if last else None
        if last is None or partial is None or found is None:
            return None
        file, sha256 = found
        are_of_each_other = last.inputs == inputs_of(sha256, self._contract, self._rules)
        return _Former(name, partial, file) if are_of_each_other else None

    def _compare(self, former: "_Former", files: Comparison) -> Compared | None:
        now = verified_month(self._folder, former.name, self._manifest)
        summary = former.partial.summary
        return files.compare(former.file, summary.profile, now, summary.month)

    def _month(self, name: str) -> str:
        return month_of(name, self._contract, self._rules)


# --- inside ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Former:
    """A month's file that changed, its partial of before, and where it lies as it was then."""

    name: str
    partial: Partial
    file: Path


def _from_changes(
    changes: Sequence[tuple[_Former, Compared]], judges: Judges, as_of: date
) -> Iterator[tuple[str, Partial | None]]:
    left = _by_month([compared.left for _, compared in changes], judges, as_of)
    came = _by_month([compared.came for _, compared in changes], judges, as_of)
    for one, compared in changes:
        month = one.partial.summary.month
        partial = adjusted(Change(one.partial, left.get(month), came.get(month)), compared.anew, judges.counted)
        if partial is not None and partial.is_late(as_of):  # late rows are none of what a former partial counts
            partial = None
        yield one.name, partial


def _by_month(tables: "Sequence[pa.Table]", judges: Judges, as_of: date) -> dict[str, Partial]:
    import pyarrow as pa

    rows = pa.concat_tables(tables) if tables else None
    if rows is None or not rows.num_rows:
        return {}
    return {partial.summary.month: partial for partial in judge_months(rows.to_pandas(), judges, as_of)}
