"""Our own checks, which no suite has to repeat: there are claims, in the contract's columns, keys, labels and times.

What they look at is counted month by month (`count_checks`), adds up, and is weighed once (`weigh_checks`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract, Kind
from fraud_ml.validation.profiling import Chunk, chunk_of
from fraud_ml.validation.suite import SNAPSHOT_TIMES
from fraud_ml.validation.uniqueness import repeated_in

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

NO_ROWS = "there is no row to judge"


@dataclass(frozen=True)
class Times:
    """When the rows of a time column lie: `days` since 1970 (UTC, as text) -> rows; `unknown` rows have no time."""

    unknown: int
    days: Mapping[str, int]

    def after(self, as_of: date) -> int:
        """Return how many rows lie after the last instant of the day, or nowhere."""
        last = (as_of - date(1970, 1, 1)).days
        return self.unknown + sum(rows for day, rows in self.days.items() if int(day) > last)


@dataclass(frozen=True)
class Counts:
    """What the checks look at, of a month or of several months added up. A column that is absent has no entry.

    misfits: column -> known values that are not of its kind. strange_labels: labels that the contract does not explain.
    """

    rows: int
    missing_columns: tuple[str, ...] = ()
    unexpected_columns: int = 0
    misfits: Mapping[str, int] = field(default_factory=dict)
    unknown_keys: int | None = None
    strange_labels: int | None = None
    times: Mapping[str, Times] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """A finding, and the positions of the rows that it sets aside."""

    finding: Finding
    rows: tuple[int, ...] = ()


_HAS_ROWS = Finding(
    "DATA001",
    "The snapshot holds claims",
    Severity.STOP,
    Outcome.PASSED,
    expected="at least one row",
    arrived="",
    next_step="look at what was landed for this as-of date (`fraud-ml snapshot show`)",
)
_COLUMNS = Finding(
    "DATA002",
    "Columns are the contract's",
    Severity.STOP,
    Outcome.PASSED,
    expected="every column of contract.yaml, event_time and recorded_at, and no other",
    arrived="",
    next_step="correct the source or contract.yaml",
)
_KINDS = Finding(
    "DATA003",
    "Values are of their column's kind",
    Severity.STOP,
    Outcome.PASSED,
    expected="text, finite numbers and timestamps as contract.yaml declares them",
    arrived="",
    next_step="correct the source, or the column's `kind` in contract.yaml",
)
_KEYS = Finding(
    "DATA004",
    "Each claim has its own key",
    Severity.STOP,
    Outcome.PASSED,
    expected="a known key that no other row has",
    arrived="",
    next_step="correct the source, or name the real key in contract.yaml",
)
_LABELS = Finding(
    "DATA005",
    "Labels are those that the contract explains",
    Severity.STOP,
    Outcome.PASSED,
    expected="one of `positive` or `negative` of contract.yaml, or missing",
    arrived="",
    next_step="declare the new spelling in contract.yaml, or correct the source",
)
_RECORDED = Finding(
    "DATA006",
    "Nothing was recorded after the as-of date",
    Severity.STOP,
    Outcome.PASSED,
    expected="a recording time up to the end of the as-of date",
    arrived="",
    column="recorded_at",
    next_step="freeze the snapshot again; if it stays, look at `times.recorded` in contract.yaml",
)
_EVENTS = Finding(
    "DATA007",
    "Each claim happened before the as-of date",
    Severity.QUARANTINE,
    Outcome.PASSED,
    expected="a known event time up to the end of the as-of date",
    arrived="",
    column="event_time",
    next_step="correct these claims at their source; `times.event` in contract.yaml says how the time is computed",
)
EVENTS = _EVENTS.code
_FEW_SET_ASIDE = Finding(
    "DATA008",
    "Few claims are set aside",
    Severity.STOP,
    Outcome.PASSED,
    expected="",
    arrived="",
    next_step="correct the source; the findings of severity quarantine say what is wrong with these claims",
)


def check_claims(claims: "pd.DataFrame", contract: Contract, as_of: date) -> list[Checked]:
    """Return one Checked a rule, in the order of their codes. Rules that have nothing to look at are undecided."""
    chunk = chunk_of(claims, contract)
    counts = add_checks(count_checks(chunk, contract).values()) if len(claims) else _of_no_rows(claims, contract)
    repeated = repeated_in(claims[contract.key]) if contract.key in claims.columns else 0
    late = tuple(int(row) for row in (~happened_until(chunk, as_of)).nonzero()[0]) if len(claims) else ()
    return [
        replace(one, rows=late) if one.finding.code == EVENTS and one.finding.outcome is Outcome.FAILED else one
        for one in weigh_checks(counts, contract, as_of, repeated_keys=repeated)
    ]


def count_checks(chunk: Chunk, contract: Contract) -> dict[str, Counts]:
    """Return what the checks look at, for each month of the chunk."""
    import numpy as np

    claims = chunk.claims
    of_columns = _of_no_rows(claims, contract)
    everything = np.ones(len(claims), bool)
    misfits = {
        column.name: chunk.counted(_misfits(claims[column.name], column.kind))
        for column in contract.columns
        if column.name in claims.columns
    }
    misfits = {name: counts for name, counts in misfits.items() if any(counts.values())}
    keys = chunk.counted(claims[contract.key].isna().to_numpy(bool)) if contract.key in claims.columns else None
    labels = None
    if contract.label.column in claims.columns:
        labels = chunk.counted(_strange(claims[contract.label.column], contract))
    rows = chunk.counted(everything)
    times = {name: _times(chunk, name) for name in SNAPSHOT_TIMES if name in claims.columns}
    return {
        month: replace(
            of_columns,
            rows=rows[month],
            misfits={name: counts[month] for name, counts in misfits.items() if counts[month]},
            unknown_keys=None if keys is None else keys[month],
            strange_labels=None if labels is None else labels[month],
            times={name: of[month] for name, of in times.items()},
        )
        for month in chunk.months
    }


def add_checks(counts: Iterable[Counts]) -> Counts:
    """Return the counts of all rows together. Their tables have the same columns; there is one at least."""
    parts = list(counts)
    misfits: Counter[str] = Counter()
    for part in parts:
        misfits.update(part.misfits)
    keys = [part.unknown_keys for part in parts if part.unknown_keys is not None]
    labels = [part.strange_labels for part in parts if part.strange_labels is not None]
    times: dict[str, Times] = {}
    for name in dict.fromkeys(name for part in parts for name in part.times):
        days: Counter[str] = Counter()
        for part in parts:
            days.update(part.times[name].days)
        times[name] = Times(sum(part.times[name].unknown for part in parts), dict(days))
    return replace(
        parts[0],
        rows=sum(part.rows for part in parts),
        misfits=dict(misfits),
        unknown_keys=sum(keys) if keys else None,
        strange_labels=sum(labels) if labels else None,
        times=times,
    )


def weigh_checks(counts: Counts, contract: Contract, as_of: date, *, repeated_keys: int) -> list[Checked]:
    """Return one Checked a rule, in the order of their codes, without the rows that are set aside.

    repeated_keys: rows whose known key some other row has.
    """
    rows, key, label = counts.rows, contract.key, contract.label.column
    found = [_judged(_HAS_ROWS, failed=rows == 0, arrived=f"{rows:,} rows"), _check_columns(counts)]
    rules: tuple[tuple[Finding, tuple[str, ...], Callable[[Finding], Checked]], ...] = (
        (_KINDS, contract.names, lambda rule: _check_kinds(rule, counts, contract)),
        (
            replace(_KEYS, column=key),
            (key,),
            lambda rule: _counted(rule, (counts.unknown_keys or 0) + repeated_keys, rows, "lack a key or share it"),
        ),
        (
            replace(_LABELS, column=label),
            (label,),
            lambda rule: _counted(rule, counts.strange_labels or 0, rows, "have another label"),
        ),
        (_RECORDED, ("recorded_at",), lambda rule: _check_times(rule, counts, as_of)),
        (_EVENTS, ("event_time",), lambda rule: _check_times(rule, counts, as_of)),
    )
    for rule, needs, check in rules:
        absent = [name for name in needs if name in counts.missing_columns]
        if rows == 0 or absent:
            reason = NO_ROWS if rows == 0 else f"could not judge: column `{absent[0]}` is absent"
            found.append(Checked(replace(rule, outcome=Outcome.UNDECIDED, arrived=reason)))
        else:
            found.append(check(rule))
    return found


def happened_until(chunk: Chunk, as_of: date) -> "NDArray[np.bool_]":
    """Return (n_claims,): where the event time is known and not after the last instant of the day `as_of` (UTC)."""
    import numpy as np

    if "event_time" not in chunk.held:
        absent = "event_time" not in chunk.claims.columns  # then nothing is known of any row, and none is late
        return np.full(len(chunk.claims), absent)
    days = chunk.table["event_time"].to_numpy().astype("datetime64[D]")
    known: NDArray[np.bool_] = days <= np.datetime64(as_of, "D")  # what is not known is not
    return known


def check_share_set_aside(quarantined: int, rows: int, max_share: float) -> Finding:
    """Return DATA008: above `max_share` the whole snapshot is wrong, not some of its rows."""
    rule = replace(_FEW_SET_ASIDE, expected=f"at most {max_share * 100:g} % of the rows")
    if rows == 0:
        return replace(rule, outcome=Outcome.UNDECIDED, arrived=NO_ROWS)
    share = quarantined / rows
    arrived = f"{quarantined:,} of {rows:,} rows ({share:.2%})"
    return _judged(rule, failed=share > max_share, arrived=arrived, count=quarantined, share=share).finding


def _judged(
    rule: Finding, *, failed: bool, arrived: str, count: int | None = None, share: float | None = None
) -> Checked:
    return Checked(
        replace(
            rule,
            outcome=Outcome.FAILED if failed else Outcome.PASSED,
            arrived=arrived,
            count=count,
            share=None if share is None else round(share, 6),
            next_step=rule.next_step if failed else "",
        )
    )


def _counted(rule: Finding, count: int, rows: int, what: str) -> Checked:
    share = count / rows
    return _judged(
        rule, failed=count > 0, arrived=f"{count:,} of {rows:,} rows {what} ({share:.2%})", count=count, share=share
    )


def _of_no_rows(claims: "pd.DataFrame", contract: Contract) -> Counts:
    wanted = dict.fromkeys((*contract.names, *SNAPSHOT_TIMES))
    missing = tuple(name for name in wanted if name not in claims.columns)
    # A name that nobody declared may be a claim's value (a file without its header): counted, never told.
    return Counts(0, missing, len(claims.columns) - len(set(claims.columns) & set(wanted)))


def _check_columns(counts: Counts) -> Checked:
    missing, unexpected = counts.missing_columns, counts.unexpected_columns
    arrived = f"{len(missing)} missing{_named(missing)}, {unexpected} unexpected"
    rule = replace(_COLUMNS, column=missing[0] if len(missing) == 1 else None)
    return _judged(rule, failed=bool(missing or unexpected), arrived=arrived, count=None)


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _check_kinds(rule: Finding, counts: Counts, contract: Contract) -> Checked:
    wrong = {name: counts.misfits[name] for name in contract.names if counts.misfits.get(name)}
    most = max(wrong, key=lambda name: wrong[name], default=None)
    told = "; ".join(f"{name}: {count:,} rows are not" for name, count in wrong.items()) or "all columns are"
    count = wrong[most] if most else 0
    return _judged(replace(rule, column=most), failed=bool(wrong), arrived=told, count=count, share=count / counts.rows)


def _check_times(rule: Finding, counts: Counts, as_of: date) -> Checked:
    assert rule.column is not None
    return _counted(rule, counts.times[rule.column].after(as_of), counts.rows, "have a later time or none")


def _misfits(values: "pd.Series", kind: Kind) -> "NDArray[np.bool_]":
    """Return where known values are not of the kind; an infinite number is not a number."""
    import numpy as np
    import pandas as pd

    known: NDArray[np.bool_] = values.notna().to_numpy(bool)
    if kind is Kind.CATEGORY:
        if isinstance(values.dtype, pd.StringDtype):
            return np.zeros(len(values), bool)
        return known & np.fromiter((not isinstance(value, str) for value in values), bool, len(values))
    if kind is Kind.NUMBER:
        if not pd.api.types.is_float_dtype(values.dtype):
            return known
        return known & np.isinf(values.to_numpy(dtype=float, na_value=np.nan))
    return np.zeros(len(values), bool) if pd.api.types.is_datetime64_any_dtype(values.dtype) else known


def _strange(labels: "pd.Series", contract: Contract) -> "NDArray[np.bool_]":
    explained = labels.isin([*contract.label.positive, *contract.label.negative])
    strange: NDArray[np.bool_] = (labels.notna() & ~explained).to_numpy(bool)
    return strange


def _times(chunk: Chunk, name: str) -> dict[str, Times]:
    """Return when each month's rows lie; those of a column that holds no times lie nowhere."""
    import numpy as np

    if name not in chunk.held:
        return {month: Times(rows, {}) for month, rows in chunk.counted(np.ones(len(chunk.claims), bool)).items()}
    days = chunk.table[name].to_numpy().astype("datetime64[D]")
    unknown = np.isnat(days)
    found: dict[str, Times] = {}
    for place, month in enumerate(chunk.months):
        mine = chunk.places == place
        values, counts = np.unique(days[mine & ~unknown].astype(np.int64), return_counts=True)
        told = {str(day): int(rows) for day, rows in zip(values, counts, strict=True)}
        found[month] = Times(int(np.count_nonzero(mine & unknown)), told)
    return found
