"""Our own checks, which no suite has to repeat: there are claims, in the contract's columns, keys, labels and times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract, Kind
from fraud_ml.validation.suite import SNAPSHOT_TIMES

if TYPE_CHECKING:
    import pandas as pd

NO_ROWS = "there is no row to judge"


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
    rows = len(claims)
    found = [_judged(_HAS_ROWS, failed=rows == 0, arrived=f"{rows:,} rows"), _check_columns(claims, contract)]
    key, label = contract.key, contract.label.column
    rules: tuple[tuple[Finding, tuple[str, ...], Callable[[Finding], Checked]], ...] = (
        (_KINDS, contract.names, lambda rule: _check_kinds(rule, claims, contract)),
        (replace(_KEYS, column=key), (key,), lambda rule: _check_keys(rule, claims[key])),
        (replace(_LABELS, column=label), (label,), lambda rule: _check_labels(rule, claims[label], contract)),
        (_RECORDED, ("recorded_at",), lambda rule: _check_times(rule, claims["recorded_at"], as_of)),
        (_EVENTS, ("event_time",), lambda rule: _check_times(rule, claims["event_time"], as_of)),
    )
    for rule, needs, check in rules:
        absent = [name for name in needs if name not in claims.columns]
        if rows == 0 or absent:
            reason = NO_ROWS if rows == 0 else f"could not judge: column `{absent[0]}` is absent"
            found.append(Checked(replace(rule, outcome=Outcome.UNDECIDED, arrived=reason)))
        else:
            found.append(check(rule))
    return found


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


def _counted(rule: Finding, bad: "pd.Series", what: str) -> Checked:
    """Judge by a boolean mask over the rows; the rows of a failed quarantine rule are set aside."""
    count, rows = int(bad.sum()), len(bad)
    share = count / rows
    checked = _judged(
        rule, failed=count > 0, arrived=f"{count:,} of {rows:,} rows {what} ({share:.2%})", count=count, share=share
    )
    if rule.severity is Severity.QUARANTINE:
        return replace(checked, rows=tuple(int(position) for position in bad.to_numpy().nonzero()[0]))
    return checked


def _check_columns(claims: "pd.DataFrame", contract: Contract) -> Checked:
    wanted = dict.fromkeys((*contract.names, *SNAPSHOT_TIMES))
    missing = [name for name in wanted if name not in claims.columns]
    # A name that nobody declared may be a claim's value (a file without its header): counted, never told.
    unexpected = len(claims.columns) - len(set(claims.columns) & set(wanted))
    arrived = f"{len(missing)} missing{_named(missing)}, {unexpected} unexpected"
    rule = replace(_COLUMNS, column=missing[0] if len(missing) == 1 else None)
    return _judged(rule, failed=bool(missing or unexpected), arrived=arrived, count=None)


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _check_kinds(rule: Finding, claims: "pd.DataFrame", contract: Contract) -> Checked:
    wrong = {column.name: _misfits(claims[column.name], column.kind) for column in contract.columns}
    wrong = {name: count for name, count in wrong.items() if count}
    most = max(wrong, key=lambda name: wrong[name], default=None)
    told = "; ".join(f"{name}: {count:,} rows are not" for name, count in wrong.items()) or "all columns are"
    count = wrong[most] if most else 0
    return _judged(replace(rule, column=most), failed=bool(wrong), arrived=told, count=count, share=count / len(claims))


def _misfits(values: "pd.Series", kind: Kind) -> int:
    """Return how many known values are not of the kind; an infinite number is not a number."""
    import numpy as np
    import pandas as pd

    known = values[values.notna()]
    if kind is Kind.CATEGORY:
        if isinstance(values.dtype, pd.StringDtype):
            return 0
        return sum(not isinstance(value, str) for value in known)
    if kind is Kind.NUMBER:
        if not pd.api.types.is_float_dtype(values.dtype):
            return len(known)
        return int(np.isinf(known.to_numpy(dtype=float)).sum())
    return 0 if pd.api.types.is_datetime64_any_dtype(values.dtype) else len(known)


def _check_keys(rule: Finding, keys: "pd.Series") -> Checked:
    return _counted(rule, keys.isna() | keys.duplicated(keep=False), "lack a key or share it")


def _check_labels(rule: Finding, labels: "pd.Series", contract: Contract) -> Checked:
    explained = labels.isin([*contract.label.positive, *contract.label.negative])
    return _counted(rule, labels.notna() & ~explained, "have another label")


def _check_times(rule: Finding, times: "pd.Series", as_of: date) -> Checked:
    return _counted(rule, ~_until(times, as_of), "have a later time or none")


def _until(times: "pd.Series", as_of: date) -> "pd.Series":
    """Return where a time is known and not after the last instant of the day `as_of` (UTC)."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(times.dtype):
        return pd.Series(False, index=times.index)
    end = pd.Timestamp(as_of + timedelta(days=1))
    return times < (end.tz_localize("UTC") if times.dt.tz is not None else end)
