"""`fraud-ml expectations`: what is asked of a line of business's claims, before there are any."""

from pathlib import Path

import click

from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT


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


def _folder() -> Path:
    """Return the current folder's expectations/, told as it is called from here, else the project's."""
    here = Path("expectations")
    return here if here.is_dir() else PROJECT / "expectations"
