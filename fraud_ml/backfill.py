"""A backfill before it runs: which as-of dates a range holds, what stands already, and what the rest will take.

The dates are the ticks of the contract's cron in UTC, computed by the library with which Airflow computes its
partition keys. What is there already is read from the snapshot registry, what will be frozen from the manifests of the
claim log; no claim is read.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from statistics import median

from fraud_ml.artifacts import SnapshotManifest
from fraud_ml.contract import Contract
from fraud_ml.data.layout import is_laid_from
from fraud_ml.data.log import BatchManifest, ClaimLog, recorded_until
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings

_PRESETS = {"@quarterly": "0 0 1 */3 *"}  # Airflow's own; croniter knows the others

# What a freeze takes until past ones on the same machine say better (two cores, motor and carclaims, 2026).
_SECONDS_A_DATE = 4.0
_SECONDS_A_ROW = 1.5e-5
_BYTES_A_FILE = 14_000.0
_BYTES_A_ROW = 60.0


class Order(StrEnum):
    OLDEST = "oldest"
    NEWEST = "newest"


class State(StrEnum):
    """What freezing a date would do."""

    MISSING = "missing"  # make the first version
    FROZEN = "frozen"  # find it and change nothing
    RESTATED = "restated"  # make a revision beside it: rows of its past were landed since
    RELAID = "relaid"  # make a revision beside it, where today's code gives the same rows other bytes
    EMPTY = "empty"  # be rejected, so it is left out: nothing was recorded by then


_WORK = (State.MISSING, State.RESTATED, State.RELAID)


@dataclass(frozen=True)
class PlannedDate:
    """One as-of date. Seconds and bytes are estimates, 0 where nothing will be made."""

    as_of: str
    state: State
    version: str | None  # the newest that stands
    has_run: bool  # a run of it has succeeded in Airflow, as far as Airflow could be asked
    rows: int  # recorded by then, each batch's counted
    new_rows: int  # of these, recorded since the date before (the first of the plan: all)
    seconds: float
    new_bytes: float


@dataclass(frozen=True)
class Plan:
    """The dates in the order in which they will run, and the command that runs those of which anything is known."""

    dataset: str
    dag_id: str
    order: Order
    max_active: int
    first_tick: datetime
    last_tick: datetime
    dates: tuple[PlannedDate, ...]
    basis: tuple[str, ...]  # what the estimates are taken from, one sentence each

    @property
    def to_make(self) -> tuple[PlannedDate, ...]:
        return tuple(planned for planned in self.dates if planned.state in _WORK)

    @property
    def minutes(self) -> float:
        return sum(planned.seconds for planned in self.to_make) / 60

    @property
    def new_bytes(self) -> float:
        return sum(planned.new_bytes for planned in self.to_make)

    @property
    def reprocess(self) -> str:
        """Return which dates that have a run get another: the failed; all, where one that ran well has work to do."""
        return "completed" if any(planned.has_run for planned in self.to_make) else "failed"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return what follows `airflow`."""
        return (
            *("backfill", "create", "--dag-id", self.dag_id),
            *("--from-date", _spelled(self.first_tick), "--to-date", _spelled(self.last_tick)),
            *("--max-active-runs", str(self.max_active), "--reprocess-behavior", self.reprocess),
            *(("--run-backwards",) if self.order is Order.NEWEST else ()),
        )

    @property
    def command(self) -> str:
        return shlex.join(("airflow", *self.arguments))


def as_of_ticks(cron: str, begin: date, end: date) -> tuple[datetime, ...]:
    """Return the moments (UTC) in [begin, end], both whole days, for which `airflow backfill create` makes a key.

    The key is the moment's date. Raises BadInput when the expression is no cron, ticks more than once on a day, or has
    no tick in the range.

    >>> [f"{tick:%Y-%m-%d}" for tick in as_of_ticks("0 0 1 */3 *", date(2024, 2, 1), date(2024, 7, 1))]
    ['2024-04-01', '2024-07-01']
    """
    from croniter import CroniterBadCronError, CroniterBadDateError, croniter

    if begin > end:
        raise BadInput("the range ends before it begins", expected=f"--to on or after {begin}", arrived=end.isoformat())
    expression = _PRESETS.get(cron, cron)
    ticks: list[datetime] = []
    try:
        if not expression.startswith("@") and len(expression.split()) != 5:
            raise CroniterBadCronError
        moments = croniter(expression, datetime.combine(begin, time(), UTC) - timedelta(seconds=1))
        while (moment := moments.get_next(datetime)).date() <= end:
            ticks.append(moment)
            if len(ticks) > 1 and ticks[-2].date() == moment.date():
                raise BadInput(
                    f"the schedule `{cron}` ticks more than once on a day",
                    expected="at most one as-of date a day",
                    next_step="correct `schedule: {cron: …}` in the contract",
                )
    except CroniterBadCronError:
        raise BadInput(
            f"the schedule `{cron}` is no cron expression",
            expected="five fields, such as `0 0 1 * *`",
            next_step="correct `schedule: {cron: …}` in the contract",
        ) from None
    except CroniterBadDateError:
        pass  # it never ticks again
    if not ticks:
        raise BadInput(
            f"the schedule `{cron}` has no as-of date from {begin} to {end}", next_step="choose a longer range"
        )
    return tuple(ticks)


def plan_backfill(
    settings: Settings,
    contract: Contract,
    begin: date,
    end: date,
    *,
    order: Order = Order.OLDEST,
    max_active: int = 1,
    past_seconds: Mapping[str, float] | None = None,
    today: date | None = None,
) -> Plan:
    """Return what a backfill of the contract's as-of dates in [begin, end] would do; nothing is changed.

    past_seconds: as-of date -> seconds that a run of it took and succeeded, from which time is estimated. Raises
    BadInput for a range without as-of dates or one whose last day is not over, Unavailable when S3 or the registry does
    not answer.
    """
    today = today or datetime.now(UTC).date()
    if end >= today:
        raise BadInput(
            "the range ends on a day that is not over (UTC), so that more may be recorded on it",
            expected=f"--to {today - timedelta(days=1)} or earlier",
            arrived=end.isoformat(),
        )
    ticks = as_of_ticks(contract.schedule.cron, begin, end)
    batches = ClaimLog(settings, contract).batches()
    registry = SnapshotRegistry(settings)
    versions = registry.versions(contract.dataset)
    days = _rows_by_day(batches)
    growth, bytes_basis = _bytes_scale(registry, versions, days)
    pace, pace_basis = _pace(past_seconds or {}, days)

    planned = []
    before: date | None = None
    known_ticks = [tick for tick in ticks if _rows_until(days, tick.date())]
    if not known_ticks:
        raise BadInput(
            f"nothing of `{contract.dataset}` was recorded by {ticks[-1].date()}",
            expected=f"--to {min(days)} or later" if days else "landed claims",
            next_step="choose such a range, or land the earlier claims",
        )
    for as_of in (tick.date() for tick in ticks):
        known = [version for version in versions if version.as_of == as_of.isoformat()]
        state = _state(known, [registry.manifest(version) for version in known], batches, as_of)
        rows = _rows_until(days, as_of)
        makes = state in _WORK
        planned.append(
            PlannedDate(
                as_of=as_of.isoformat(),
                state=state,
                version=known[-1].name if known else None,
                has_run=as_of.isoformat() in (past_seconds or {}),
                rows=rows,
                new_rows=rows - (_rows_until(days, before) if before else 0),
                seconds=round(pace * _seconds_of(rows), 2) if makes else 0.0,
                new_bytes=round(growth * _bytes_of(days, as_of, since=before)) if makes else 0,
            )
        )
        before = as_of
    return Plan(
        dataset=contract.dataset,
        dag_id=f"claims_snapshot_{contract.dataset}",
        order=order,
        max_active=max_active,
        first_tick=known_ticks[0],
        last_tick=known_ticks[-1],
        dates=tuple(planned if order is Order.OLDEST else reversed(planned)),
        basis=(bytes_basis, pace_basis),
    )


# --- inside ---------------------------------------------------------------------------------------------------------


def _state(
    known: Sequence[Version], manifests: Sequence[SnapshotManifest], batches: Iterable[BatchManifest], as_of: date
) -> State:
    """Return what `freeze` would find."""
    recorded = tuple(batch for batch in batches if recorded_until(batch, as_of))
    if not recorded:
        return State.EMPTY
    if not known:
        return State.MISSING
    if any(is_laid_from(manifest, recorded) for manifest in manifests):
        return State.FROZEN
    same = any(manifest.batches == tuple(batch.id for batch in recorded) for manifest in manifests)
    return State.RELAID if same else State.RESTATED


def _rows_by_day(batches: Iterable[BatchManifest]) -> Counter[date]:
    days: Counter[date] = Counter()
    for batch in batches:
        for item in batch.objects:
            days[date.fromisoformat(item.day)] += item.rows
    return days


def _rows_until(days: Mapping[date, int], as_of: date) -> int:
    return sum(rows for day, rows in days.items() if day <= as_of)


def _seconds_of(rows: int) -> float:
    return _SECONDS_A_DATE + _SECONDS_A_ROW * rows


def _bytes_of(days: Mapping[date, int], as_of: date, *, since: date | None) -> float:
    """Return the bytes of the partitions that the snapshot before has not: equal files are stored once."""
    before = _partitions(days, since) if since else {}
    fresh = {name: rows for name, rows in _partitions(days, as_of).items() if name not in before}
    return _BYTES_A_FILE * len(fresh) + _BYTES_A_ROW * sum(fresh.values())


def _partitions(days: Mapping[date, int], as_of: date) -> Counter[str]:
    """Return partition -> rows: a file a month that was over on the date, and a file a day of one that was not."""
    found: Counter[str] = Counter()
    for day, rows in days.items():
        if day <= as_of:
            is_over = (day.replace(day=28) + timedelta(days=4)).replace(day=1) <= as_of + timedelta(days=1)
            found[f"{day:%Y-%m}" if is_over else day.isoformat()] += rows
    return found


def _bytes_scale(
    registry: SnapshotRegistry, versions: Sequence[Version], days: Mapping[date, int]
) -> tuple[float, str]:
    """Return what the rule of thumb must be multiplied by to fit the newest frozen version, and how it was found."""
    newest = max(versions, key=lambda version: (version.as_of, version.revision), default=None)
    guessed = _bytes_of(days, date.fromisoformat(newest.as_of), since=None) if newest else 0.0
    if newest is None or not guessed:
        return 1.0, "bytes: a rule of thumb, as nothing is frozen yet"
    size = registry.size_bytes(newest)
    return size / guessed, f"bytes: scaled by {newest.tag}, which has {size:,} of them"


def _pace(past_seconds: Mapping[str, float], days: Mapping[date, int]) -> tuple[float, str]:
    ratios = [
        seconds / _seconds_of(_rows_until(days, date.fromisoformat(as_of)))
        for as_of, seconds in past_seconds.items()
        if seconds > 0
    ]
    if not ratios:
        return 1.0, "minutes: a rule of thumb, as Airflow tells of no earlier run"
    return median(ratios), f"minutes: scaled by the median of {len(ratios)} earlier runs in Airflow"


def _spelled(tick: datetime) -> str:
    return f"{tick:%Y-%m-%d}" if tick.time() == time() else f"{tick:%Y-%m-%dT%H:%M:%S}"
