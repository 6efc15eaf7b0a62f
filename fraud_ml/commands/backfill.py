"""`fraud-ml backfill`: see what freezing a range of past dates will do, start it, and follow it to its end."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fraud_ml.commands.arguments import Day, contract_of
from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from fraud_ml.airflow_api import AirflowApi, Run
    from fraud_ml.backfill import Plan

_PAUSE_S = 1.0
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def backfill() -> None:
    """Freeze a dataset's past as-of dates, one run a date, and have Airflow retrain on them. Nothing is promoted.

    \b
    Example: fraud-ml backfill plan motor --from 2023-01-01 --to 2025-12-31
    """


def _range(command: _Command) -> _Command:
    options = (
        click.argument("dataset"),
        click.option("--from", "begin", type=Day(), required=True, help="First day of the range (UTC)."),
        click.option("--to", "end", type=Day(), required=True, help="Last day of the range (UTC)."),
        click.option(
            "--order",
            type=click.Choice(["oldest", "newest"]),
            default="oldest",
            show_default=True,
            help="Which date runs first.",
        ),
        click.option(
            "--max-active",
            type=click.IntRange(1, 16),
            default=1,
            show_default=True,
            help="Runs at once. One registry has one writer, so more than one is no faster.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@backfill.command()
@_range
def plan(dataset: str, begin: date, end: date, order: str, max_active: int, as_json: bool) -> None:
    """Show what a backfill of DATASET would do, and the command that does it. Nothing is started or changed.

    \b
    Example: fraud-ml backfill plan motor --from 2023-01-01 --to 2025-12-31 --order newest
    """
    settings = Settings.load()
    planned = _plan(settings, dataset, begin, end, order, max_active)
    if as_json:
        click.echo(json.dumps(_told(planned)))
        return
    click.echo(f"{'as of':<12}{'there':<16}{'rows by then':>14}{'new rows':>12}{'~seconds':>10}{'~new KiB':>10}")
    for one in planned.dates:
        there = one.version or ("nothing known" if one.state == "empty" else "-")
        there += {"restated": " +late rows", "relaid": " other layout"}.get(one.state, "")
        cost = f"{one.seconds:>10.1f}{one.new_bytes / 1024:>10.0f}" if one.seconds else f"{'-':>10}{'-':>10}"
        click.echo(f"{one.as_of:<12}{there:<16}{one.rows:>14,}{one.new_rows:>12,}{cost}")
    for sentence in _summary(planned):
        click.echo(sentence)


@backfill.command()
@_range
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the runs to their end.")
def start(dataset: str, begin: date, end: date, order: str, max_active: int, as_json: bool, wait: bool) -> None:
    """Have Airflow freeze DATASET's as-of dates of a range, and follow it. Stopped or killed, ask again: it goes on.

    Dates whose run has succeeded are left alone, unless rows of their past were landed since; failed ones are tried
    again. Exit code 2 names the dates whose run failed.

    \b
    Example: fraud-ml backfill start motor --from 2023-01-01 --to 2025-12-31
    """
    from fraud_ml.airflow_api import AirflowApi

    settings = Settings.load()
    planned = _plan(settings, dataset, begin, end, order, max_active)
    for sentence in _summary(planned):
        click.echo(sentence, err=True)
    airflow = AirflowApi(settings)
    keys = _create(airflow, planned)
    runs = _follow(airflow, planned, keys) if wait else airflow.runs_of_dates(planned.dag_id, *_days(planned))
    outcome = {
        "dataset": dataset,
        "dag_id": planned.dag_id,
        "started": keys,
        "states": {one.as_of: runs[one.as_of].state for one in planned.dates if one.as_of in runs},
    }
    click.echo(json.dumps(outcome) if as_json else f"{planned.dag_id}: {len(keys)} dates were started")
    failed = sorted(as_of for as_of in keys if wait and runs[as_of].state == "failed")
    if failed:
        raise Rejected(
            f"{len(failed)} of {len(keys)} dates failed: {', '.join(failed)}",
            next_step=f"read the log of their task `freeze` ({airflow.url}/dags/{planned.dag_id}), then start again",
            failed=failed,
        )


def _plan(settings: Settings, dataset: str, begin: date, end: date, order: str, max_active: int) -> "Plan":
    from fraud_ml.backfill import Order, plan_backfill

    contract = contract_of(dataset)
    return plan_backfill(
        settings,
        contract,
        begin,
        end,
        order=Order(order),
        max_active=max_active,
        past_seconds=_past_seconds(settings, f"claims_snapshot_{dataset}", begin, end),
    )


def _past_seconds(settings: Settings, dag_id: str, begin: date, end: date) -> dict[str, float]:
    """Return what earlier runs of these dates, and the newest ones, took, as far as an Airflow is there to tell."""
    from fraud_ml.airflow_api import AirflowApi

    try:
        airflow = AirflowApi(settings)
        runs = [*airflow.runs(dag_id, limit=50), *airflow.runs_of_dates(dag_id, begin, end).values()]
    except Unavailable:
        return {}
    return {run.partition_key: run.seconds for run in runs if run.has_succeeded and run.partition_key and run.seconds}


def _summary(planned: "Plan") -> list[str]:
    to_make, left_out = planned.to_make, [one for one in planned.dates if one.state == "empty"]
    there = len(planned.dates) - len(to_make) - len(left_out)
    told = [
        f"{len(planned.dates)} as-of dates of {planned.dataset}, {planned.order} first: {there} are frozen already, "
        f"{len(to_make)} to make in about {planned.minutes:.1f} min, {planned.new_bytes / 2**20:.1f} MiB new"
    ]
    if left_out:
        told.append(f"left out, as nothing was recorded by then: {', '.join(one.as_of for one in left_out)}")
    told += [f"estimated {sentence}" for sentence in planned.basis]
    told.append(f"fraud-ml stack {planned.command}")
    told.append("(with an Airflow of your own: the same without `fraud-ml stack`.) A backfill promotes nothing.")
    return told


def _create(airflow: "AirflowApi", planned: "Plan") -> list[str]:
    """Create the backfill, unless the same one is active, and return the dates that it runs."""
    from fraud_ml.backfill import Order

    if airflow.is_paused(planned.dag_id):
        raise Rejected(
            f"{planned.dag_id} is paused, so its backfill would wait",
            next_step=f"airflow dags unpause {planned.dag_id} (which also freezes the newest past date)",
        )
    active = next((one for one in airflow.backfills(planned.dag_id) if one.is_active), None)
    if active and (active.begin, active.end) == (planned.first_tick, planned.last_tick):
        click.echo(f"backfill {active.id} of the same dates is active: following it", err=True)
        known = airflow.runs_of_dates(planned.dag_id, *_days(planned))
        return [one.as_of for one in planned.dates if one.as_of in known]
    kind = {"newest_first": planned.order is Order.NEWEST, "reprocess": planned.reprocess}
    keys = airflow.backfill_keys(planned.dag_id, planned.first_tick, planned.last_tick, **kind)  # type: ignore[arg-type]
    if keys:
        airflow.create_backfill(
            planned.dag_id,
            planned.first_tick,
            planned.last_tick,
            max_active=planned.max_active,
            **kind,  # type: ignore[arg-type]
        )
    else:
        click.echo("nothing to do: every date has a run that succeeded", err=True)
    return keys


def _follow(airflow: "AirflowApi", planned: "Plan", keys: list[str]) -> "dict[str, Run]":
    """Say each date's end as it comes; return the newest run of every date once all of `keys` have ended."""
    told: set[str] = set()
    while True:
        runs = airflow.runs_of_dates(planned.dag_id, *_days(planned))
        for key in keys:
            run = runs.get(key)
            if run and run.is_finished and key not in told:
                told.add(key)
                click.echo(f"  {key}: {run.state} ({run.seconds or 0:.1f} s), {len(told)} of {len(keys)}", err=True)
        if len(told) == len(keys):
            return runs
        time.sleep(_PAUSE_S)


def _days(planned: "Plan") -> tuple[date, date]:
    return planned.first_tick.date(), planned.last_tick.date()


def _told(planned: "Plan") -> dict[str, Any]:
    return {
        "dataset": planned.dataset,
        "dag_id": planned.dag_id,
        "order": planned.order,
        "dates": [asdict(one) for one in planned.dates],
        "minutes": round(planned.minutes, 2),
        "new_bytes": round(planned.new_bytes),
        "basis": planned.basis,
        "command": planned.command,
    }
