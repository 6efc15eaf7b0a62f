"""`fraud-ml expectations` and `suggest-expectations`: what is asked of claims, before there are any and after."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fraud_ml.commands.arguments import Day
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    from fraud_ml.validation.suggesting.trying import Tried


@click.group()
def expectations() -> None:
    """Look at the rules under expectations/: contract, suite and schema of each dataset.

    \b
    Example: fraud-ml expectations check motor
    """


@expectations.command()
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def check(dataset: str | None, as_json: bool) -> None:
    """Say whether the rules of DATASET (all datasets where none is named) can hold at all; exit 2 naming what cannot.

    No data is read. Found are expectations that Great Expectations does not know, or whose arguments it refuses; rules
    on absent columns; codes given twice; a schema that contradicts the contract; two rules of which one must fail.

    \b
    Example: fraud-ml expectations check motor
    """
    import json
    from dataclasses import asdict

    from fraud_ml.validation.rulebook import check_rules
    from fraud_ml.validation.rulebook.problem import sentence_of

    folder = _folder()
    wanted = [dataset] if dataset else sorted(path.parent.name for path in folder.glob("*/contract.yaml"))
    if not wanted:
        raise BadInput(f"no contract stands under {folder}", expected="expectations/<dataset>/contract.yaml")
    found = {one: check_rules(one, folder) for one in wanted}
    problems = [problem for each in found.values() for problem in each]
    if as_json:
        told = {one: [asdict(p) | {"title": p.title} for p in each] for one, each in found.items()}
        click.echo(json.dumps({"sound": not problems, "datasets": told}, indent=2, ensure_ascii=False))
    else:
        for one, each in found.items():
            click.echo(f"{one}: {f'{len(each)} problem(s)' if each else 'its rules can hold'}")
            for problem in each:
                click.echo(f"{problem.code}  {sentence_of(problem)}")
    if problems:
        raise BadInput(
            f"{len(problems)} problem(s) in the rules of {', '.join(one for one, each in found.items() if each)}",
            expected="rules that can all hold",
            next_step="mend each of the lines above",
        )


@click.command("suggest-expectations")
@click.argument("dataset")
@click.option("--from", "begin", type=Day(), help="Learn from the event month of this date on; all months are tried.")
@click.option("--to", "end", type=Day(), help="Learn up to the event month of this date.")
@click.option(
    "--severity", type=click.Choice(["warn", "stop"]), default="warn", show_default=True, help="Of new rules."
)
@click.option("--json", "as_json", is_flag=True, help="Print rules, months and diff as JSON.")
@click.option("--write", is_flag=True, help="Replace the files, once `expectations check` passes on them.")
def suggest_expectations(
    dataset: str, begin: date | None, end: date | None, severity: str, as_json: bool, write: bool
) -> None:
    """Suggest limits for the suite and the schema of DATASET from its accepted claims, as a diff to review.

    Learned from are the event months of the snapshot that is pinned and accepted in the workspace (verdicts on others
    are not kept here): months that are settled, four weeks after their end. Volumes are compared with the same month of
    earlier years where two are known. A limit is never tighter than those months, and unusual months, which are named,
    are not learned from; fraud_ml/validation/suggesting/limits.py has the formulas. Beside each rule stand the months
    that would have broken it.

    \b
    Present rules keep their order, words and severity; only limits change. No value of a personal column and no word of
    fewer than 20 claims gets into a rule. The same snapshot and files give the same bytes.

    \b
    Example: fraud-ml suggest-expectations motor --to 2025-06-30
    """
    import json
    from dataclasses import asdict

    from fraud_ml.artifacts import Severity, Workspace
    from fraud_ml.contract import load_contract
    from fraud_ml.settings import Settings
    from fraud_ml.validation.partial_cache import PartialCache
    from fraud_ml.validation.partition import read_judges
    from fraud_ml.validation.suggesting import judged_months, suggest, write_suggestion

    if begin is not None and end is not None and begin > end:
        raise BadInput("nothing lies between the two dates", expected="--from on or before --to")
    folder = _folder()
    rules = folder / dataset
    judges = read_judges(load_contract(dataset, folder), rules)
    as_of, months = judged_months(Workspace(), judges, PartialCache(Settings.load().verdict_cache))
    found = suggest(months, judges, as_of, begin=begin, end=end, severity=Severity(severity))
    if write:
        write_suggestion(found, rules)
    if as_json:
        report = {
            "dataset": found.dataset,
            "as_of": found.as_of,
            "learned_months": found.learned,
            "rules": [asdict(one) for one in found.rules],
            "diff": found.diff,
            "written": write,
        }
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    click.echo(found.diff, nl=False)
    for one in found.rules:
        click.echo(_told(one))
    first, last = found.learned[0], found.learned[-1]
    done = "written" if write else "nothing was written"
    click.echo(f"{len(found.rules)} suggestion(s) from {len(found.learned)} months, {first} to {last}; {done}")


def _told(one: "Tried") -> str:
    limits = ", ".join(
        f"{name} +{len(after)} word(s)"
        if isinstance(after, list)
        else f"{name} {after}"
        if one.is_new
        else f"{name} {'1' if before is None else before} -> {after}"
        for name, (before, after) in one.changes.items()
    )
    acts = "would have stopped" if one.severity == "stop" else "would have warned of"
    months = f"{', '.join(one.broken) or 'no month'} ({len(one.broken)} of {one.tried})"
    learned = f"; not learned from: {', '.join(one.unusual)}" if one.unusual else ""
    whole = "; stops the accepted snapshot itself" if one.breaks_snapshot else ""
    return f"{one.rule}  {'new' if one.is_new else 'changed'}  {one.title}: {limits}; {acts} {months}{learned}{whole}"


def _folder() -> Path:
    """Return the current folder's expectations/, told as it is called from here, else the project's."""
    here = Path("expectations")
    return here if here.is_dir() else PROJECT / "expectations"
