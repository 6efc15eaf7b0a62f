"""`fraud-ml bench`: run the benchmarks of benchmarks/."""

import sys

import click

from fraud_ml.settings import PROJECT


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object and nothing else.")
@click.option("--quick", is_flag=True, help="A reduced size, for CI.")
@click.option("--write", is_flag=True, help="Keep the report and write docs/benchmarks.md again.")
def bench(name: str, as_json: bool, quick: bool, write: bool) -> None:
    """Run the benchmark NAME, or `all` of them.

    \b
    Example: fraud-ml bench pipeline --json
    """
    import json

    sys.path.insert(0, str(PROJECT))
    from benchmarks import harness

    for each in harness.names() if name == "all" else [name]:
        report = harness.measure(each, quick=quick)
        if as_json:
            click.echo(json.dumps(report))
        else:
            for key, figure in report["figures"].items():
                click.echo(f"{key:<28}{figure['value']:>12g} {figure['unit']:<8}{figure.get('note', '')}")
        if write:
            harness.keep(report)
    if write:
        click.echo(f"wrote {harness.write_page().relative_to(PROJECT)}", err=True)
