"""`fraud-ml bench`: run the benchmarks of benchmarks/."""

import sys

import click

from fraud_ml.settings import PROJECT


@click.command()
@click.argument("name")
@click.option("--dataset", help="One of those that NAME is measured on; all of them where none is named.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object and nothing else.")
@click.option("--quick", is_flag=True, help="A reduced size, for CI.")
@click.option("--write", is_flag=True, help="Keep the report and write docs/benchmarks.md again.")
def bench(name: str, dataset: str | None, as_json: bool, quick: bool, write: bool) -> None:
    """Run the benchmark NAME, or `all` of them.

    \b
    Examples: fraud-ml bench pipeline --json
              fraud-ml bench quality --dataset carclaims
    """
    import json

    sys.path.insert(0, str(PROJECT))
    from benchmarks import harness

    wanted = harness.names() if name == "all" else [name]
    for each, on in [(one, on) for one in wanted for on in ([dataset] if dataset else harness.datasets(one))]:
        report = harness.measure(each, quick=quick, dataset=on)
        if as_json:
            click.echo(json.dumps(report))
        else:
            for key, figure in report["figures"].items():
                click.echo(f"{key:<28}{figure['value']:>12g} {figure['unit']:<8}{figure.get('note', '')}")
        if write:
            harness.keep(report)
    if write:
        click.echo(f"wrote {harness.write_page().relative_to(PROJECT)}", err=True)
