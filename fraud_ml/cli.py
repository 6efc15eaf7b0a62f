"""`fraud-ml`: the command line. Stage commands are generated from STAGES, the others stand in `fraud_ml/commands/`.

Exit codes: 0 done, 2 rejected (do not try again), 3 unavailable (may be tried again), 1 a fault of ours.
"""

import atexit
import gc
import importlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fraud_ml.errors import FraudMLError

if TYPE_CHECKING:
    from fraud_ml.pipeline import Stage

# One row a command: its name -> where its click command stands. Loaded only when called, so that --help stays quick.
COMMANDS = {
    "simulate": "fraud_ml.commands.claims:simulate",
    "land": "fraud_ml.commands.claims:land",
    "snapshot": "fraud_ml.commands.claims:snapshot",
    "expectations": "fraud_ml.commands.expectations:expectations",
    "suggest-expectations": "fraud_ml.commands.expectations:suggest_expectations",
    "cohort": "fraud_ml.commands.labels:cohort",
    "leakcheck": "fraud_ml.commands.labels:leakcheck",
    "tune": "fraud_ml.commands.tuning:tune",
    "backfill": "fraud_ml.commands.backfill:backfill",
    "erase": "fraud_ml.commands.erasure:erase",
    "pin": "fraud_ml.commands.pin:pin",
    "register": "fraud_ml.commands.registry:register",
    "reproduce": "fraud_ml.commands.registry:reproduce",
    "crown": "fraud_ml.commands.registry:crown",
    "keys": "fraud_ml.commands.governance:keys",
    "approve": "fraud_ml.commands.governance:approve",
    "ledger": "fraud_ml.commands.governance:ledger",
    "promote": "fraud_ml.commands.deployment:promote",
    "relay": "fraud_ml.commands.deployment:relay",
    "score": "fraud_ml.commands.scoring:score",
    "serve": "fraud_ml.commands.serving:serve",
    "stack": "fraud_ml.commands.stack:stack",
    "demo": "fraud_ml.commands.demo:demo",
    "bench": "fraud_ml.commands.bench:bench",
}


# A process that starts makes a million objects and throws few away: looking for garbage among them every 700, as Python
# does, was a quarter of a command's time.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click names it
        from fraud_ml.pipeline import STAGES

        return [*(stage.name for stage in STAGES), *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click names it
        if cmd_name not in COMMANDS:
            from fraud_ml.pipeline import STAGES

            return next((_stage_command(stage) for stage in STAGES if stage.name == cmd_name), None)
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Retrain, approve and deploy insurance-fraud models.

    \b
    Example: fraud-ml stack up && fraud-ml demo
    """


def _stage_command(stage: "Stage") -> click.Command:
    @click.command(stage.name, help=_stage_help(stage), short_help=_first_line(stage))
    @click.option("--json", "as_json", is_flag=True, help="Print the stage's report as JSON.")
    def command(as_json: bool) -> None:
        from fraud_ml.artifacts import Workspace, canonical_json
        from fraud_ml.params import load_params

        workspace = Workspace()
        params = getattr(load_params(workspace.params), stage.section)
        report = stage.run(workspace, params)
        if as_json:
            click.echo(canonical_json(report))

    return command


def _first_line(stage: "Stage") -> str:
    return (stage.run.__doc__ or "").strip().splitlines()[0]


def _stage_help(stage: "Stage") -> str:
    """Return the stage's docstring, with what dvc.yaml says that it reads and writes."""
    import inspect

    text = inspect.getdoc(stage.run) or ""
    declared = _declared(stage.name)
    reads = [*declared.get("deps", []), f"params.yaml: {stage.section}"]
    writes = [*declared.get("outs", []), *declared.get("metrics", [])]
    lines = ["\b", "Reads:  " + "\n        ".join(reads), "Writes: " + "\n        ".join(writes)]
    example = f"\b\nExample: fraud-ml {stage.name} --json"
    return text + "\n\n" + "\n".join(lines) + "\n\n" + example


def _declared(name: str) -> dict[str, Any]:
    import yaml

    from fraud_ml.settings import PROJECT

    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    declared: dict[str, Any] = stages[name]
    return declared


def main() -> None:
    """Run the command line; errors become one sentence on standard error and the exit code of their kind."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        cli(standalone_mode=True)
    except FraudMLError as error:
        click.echo(f"fraud-ml: {error}", err=True)
        sys.exit(error.exit_code)


def run() -> NoReturn:
    """Run the command line as a process of its own, which ends at once.

    Threads are waited for and exit functions called, as always; what is left out is taking every module's objects
    apart, half a second of what a small freeze costs.
    """
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        code = ended.code or 0
    else:
        code = 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more; Python's own exit code for that
        code = 120
    os._exit(code)
