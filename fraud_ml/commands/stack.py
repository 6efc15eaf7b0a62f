"""`fraud-ml stack`: start, look at and stop the embedded servers."""

import json
import os
import sys
import time
from pathlib import Path

import click

from fraud_ml.errors import Unavailable


@click.group()
def stack() -> None:
    """Start, look at and stop the embedded servers below FRAUD_ML_HOME (default: .stack).

    \b
    Example: fraud-ml stack up && fraud-ml stack status
    """


@stack.command()
@click.argument("components", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print every component's state as JSON.")
def up(components: tuple[str, ...], as_json: bool) -> None:
    """Start what does not run (all, or COMPONENTS with what they need) and wait until it is ready.

    A component whose address is already in the environment (FRAUD_ML_LEDGER_URL, AWS_ENDPOINT_URL, RABBITMQ_URL,
    MLFLOW_TRACKING_URI, FRAUD_ML_AIRFLOW_URL, FRAUD_ML_SCORER_URL) is used there and not started.

    \b
    Example: fraud-ml stack up postgres s3
    """
    opened = _open()
    opened.up(components or None)
    _show(as_json)


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print every component's state as JSON.")
def status(as_json: bool) -> None:
    """Ask every component how it is. Exit code 3 when one that should run is not ready.

    \b
    Example: fraud-ml stack status --json
    """
    broken = [name for name, state in _show(as_json) if state in ("starting", "failed")]
    if broken:
        raise Unavailable(f"not ready: {', '.join(broken)}", next_step="`fraud-ml stack up` mends it")


@stack.command()
def down() -> None:
    """Stop everything that the stack started. Its data stays, and `up` finds it again.

    \b
    Example: fraud-ml stack down
    """
    opened = _open()
    opened.down()
    click.echo(f"stack: stopped; its data stays in {opened.home}", err=True)


@stack.command()
@click.argument("component")
@click.option("--lines", default=50, show_default=True, help="How many of the last lines to print.")
@click.option("--follow", is_flag=True, help="Go on printing what is added.")
def logs(component: str, lines: int, follow: bool) -> None:
    """Print the end of COMPONENT's log.

    \b
    Example: fraud-ml stack logs airflow-scheduler --lines 20 --follow
    """
    path = _open().log_of(component)
    if not path.is_file():
        raise Unavailable(f"{component} has written no log yet", next_step=f"fraud-ml stack up {component}")
    with path.open(encoding="utf-8", errors="replace") as handle:
        for line in handle.readlines()[-lines:]:
            click.echo(line, nl=False)
        while follow:
            click.echo(handle.read(), nl=False)
            if path.stat().st_size < handle.tell():  # the log was turned over
                handle.seek(0)
            time.sleep(0.3)


@stack.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def airflow(arguments: tuple[str, ...]) -> None:
    """Run Airflow's own command line on this stack's Airflow; ARGUMENTS are what follows `airflow`.

    \b
    Example: fraud-ml stack airflow backfill create --dag-id claims_snapshot_motor \\
               --from-date 2023-01-01 --to-date 2025-12-01 --max-active-runs 1
    """
    environment = _open().airflow_environment()
    command = (sys.executable, "-m", "airflow", *arguments)
    os.execve(command[0], command, environment)  # Airflow's exit code and streams become ours


def _open():  # type: ignore[no-untyped-def]
    from fraud_ml.settings import Settings
    from fraud_ml.stack import Stack

    return Stack(Path(Settings.load().home))


def _show(as_json: bool) -> list[tuple[str, str]]:
    opened = _open()
    found = opened.status()
    if as_json:
        click.echo(json.dumps({"home": str(opened.home), "components": [one.as_dict() for one in found]}, indent=1))
    else:
        for one in found:
            click.echo(f"{one.name:24}{one.state:10}{one.pid or '':>8}  {one.detail}".rstrip())
    return [(one.name, one.state) for one in found]
