"""The dates of a backfill plan are those for which Airflow would create runs, whatever the schedule and the range."""

from datetime import UTC, date, datetime, timedelta

import pytest
from airflow.timetables.trigger import CronPartitionTimetable
from croniter import CroniterBadDateError
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.backfill import Order, Plan, PlannedDate, State, as_of_ticks
from fraud_ml.errors import BadInput

MOMENT = st.tuples(st.integers(0, 59), st.integers(0, 23))
DAYS = st.one_of(
    st.just("*"), st.integers(1, 31).map(str), st.just("*/7"), st.just("L"), st.just("1,15"), st.just("10-12")
)
MONTHS = st.one_of(st.just("*"), st.just("*/3"), st.just("1-6"), st.just("2"), st.just("JAN,JUL"))
WEEKDAYS = st.one_of(st.just("*"), st.just("1-5"), st.just("0"), st.just("mon#1"))
CRONS = st.one_of(
    st.sampled_from(["@daily", "@weekly", "@monthly", "@quarterly", "@yearly"]),
    st.builds(
        lambda at, day, month, weekday: f"{at[0]} {at[1]} {day} {month} {weekday}", MOMENT, DAYS, MONTHS, WEEKDAYS
    ),
)
BEGINS = st.dates(date(1994, 1, 1), date(2026, 12, 31))


def airflows_keys(cron: str, begin: datetime, end: datetime) -> list[str | None]:
    """Return what `airflow backfill create` makes of the DAG's own timetable; nothing where it fails."""
    timetable = CronPartitionTimetable(cron, timezone="UTC", key_format="%Y-%m-%d")
    try:
        return [info.partition_key for info in timetable.iter_partition_dagrun_infos(earliest=begin, latest=end)]
    except CroniterBadDateError:  # a day that never comes
        return []


@settings(max_examples=150, deadline=None)
@given(cron=CRONS, begin=BEGINS, days=st.integers(0, 500))
def test_dates_are_the_keys_that_airflow_would_create(cron: str, begin: date, days: int) -> None:
    end = begin + timedelta(days=days)
    midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    last_moment = midnight + timedelta(days=days + 1, seconds=-1)
    keys = airflows_keys(cron, midnight, last_moment)
    if not keys:
        with pytest.raises(BadInput, match="has no as-of date"):
            as_of_ticks(cron, begin, end)
        return
    ticks = as_of_ticks(cron, begin, end)
    assert [f"{tick:%Y-%m-%d}" for tick in ticks] == keys
    assert airflows_keys(cron, ticks[0], ticks[-1]) == keys  # the bounds that the command line gets


def test_first_and_last_day_of_the_range_are_part_of_it() -> None:
    assert len(as_of_ticks("0 0 1 * *", date(2023, 1, 1), date(2025, 12, 1))) == 36
    assert len(as_of_ticks("30 23 1 * *", date(2023, 1, 1), date(2025, 12, 1))) == 36


@pytest.mark.parametrize("cron", ["0 0 1 *", "0 0 1 * * 0", "soon", "61 0 1 * *", "@often", ""])
def test_what_is_no_cron_is_refused(cron: str) -> None:
    with pytest.raises(BadInput, match="is no cron expression"):
        as_of_ticks(cron, date(2024, 1, 1), date(2024, 12, 31))


def test_day_that_never_comes_is_a_range_without_dates() -> None:
    with pytest.raises(BadInput, match="has no as-of date"):
        as_of_ticks("0 0 30 2 *", date(2024, 1, 1), date(2024, 12, 31))


@pytest.mark.parametrize("cron", ["@hourly", "0 */6 * * *"])
def test_schedule_with_two_ticks_on_a_day_is_refused(cron: str) -> None:
    with pytest.raises(BadInput, match="more than once on a day"):
        as_of_ticks(cron, date(2024, 1, 1), date(2024, 1, 2))


def test_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadInput, match="ends before it begins"):
        as_of_ticks("0 0 1 * *", date(2024, 2, 1), date(2024, 1, 1))


# --- the command line that a plan prints ---


def planned(*dates: PlannedDate, order: Order = Order.OLDEST, at: int = 0) -> Plan:
    first, last = datetime(2024, 1, 1, at, tzinfo=UTC), datetime(2024, 3, 1, at, tzinfo=UTC)
    return Plan("motor", "claims_snapshot_motor", order, 1, first, last, dates, ())


def one(state: State, *, has_run: bool = False) -> PlannedDate:
    return PlannedDate("2024-01-01", state, None, has_run, 10, 10, 30.0, 1000.0)


def test_command_line_is_understood_by_airflow() -> None:
    from airflow.cli.cli_parser import get_parser

    command = planned(one(State.MISSING), order=Order.NEWEST, at=3).arguments
    parsed = get_parser().parse_args(list(command))
    assert (parsed.dag_id, parsed.max_active_runs, parsed.run_backwards) == ("claims_snapshot_motor", 1, True)
    assert parsed.reprocess_behavior == "failed"
    assert parsed.from_date == datetime(2024, 1, 1, 3, tzinfo=UTC)
    assert parsed.to_date == datetime(2024, 3, 1, 3, tzinfo=UTC)


def test_failed_dates_are_run_again_and_good_ones_only_when_one_of_them_has_work_to_do() -> None:
    assert planned(one(State.FROZEN, has_run=True), one(State.MISSING)).reprocess == "failed"
    assert planned(one(State.RESTATED)).reprocess == "failed"  # frozen by hand: Airflow knows no run of it
    assert planned(one(State.RESTATED, has_run=True)).reprocess == "completed"
    assert planned(one(State.MISSING, has_run=True)).reprocess == "completed"  # the registry was lost


def test_only_what_will_be_made_costs_anything() -> None:
    plan = planned(one(State.MISSING), one(State.RESTATED), one(State.FROZEN), one(State.EMPTY))
    assert (plan.minutes, plan.new_bytes) == (1.0, 2000.0)
