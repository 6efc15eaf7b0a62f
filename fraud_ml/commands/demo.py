"""`fraud-ml demo`: the main job on simulated or on your own claims."""

from pathlib import Path

import click


@click.command()
@click.option("--claims", type=click.Path(path_type=Path), help="Raw claims; without it they are simulated.")
@click.option("--dataset", default="motor", show_default=True, help="A folder under expectations/.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(claims: Path | None, dataset: str, as_json: bool) -> None:
    """Land claims, freeze a snapshot, retrain, approve, deploy and score ten claims, all through Airflow.

    Two demo people approve the candidate with demo keys. The stack stays up; stop it with `fraud-ml stack down`.

    \b
    Example: fraud-ml demo --claims claims.csv --dataset carclaims
    """
    from dataclasses import asdict

    from fraud_ml.artifacts import canonical_json
    from fraud_ml.demo import run_demo
    from fraud_ml.settings import Settings

    result = run_demo(dataset=dataset, claims=claims, home=Settings.load().home)
    if as_json:
        click.echo(canonical_json(asdict(result)))
        return
    model = f"{result.dataset} model version {result.model_version} ({result.candidate_digest[:12]})"
    click.echo(f"\nTen claims scored by {model}:")
    click.echo("  claim  chance of fraud  rank")
    for scored in result.scores:
        click.echo(f"  {scored.position:>5}  {scored.probability:>15.3f}  {scored.rank:>4}")
    click.echo("\nWhere to look:")
    for name, link in result.links.items():
        click.echo(f"  {name + ':':<13}{link}")
    click.echo("  Airflow login: FRAUD_ML_AIRFLOW_USER and FRAUD_ML_AIRFLOW_PASSWORD in the stack's settings.env")
    click.echo("  Stop:        fraud-ml stack down")
