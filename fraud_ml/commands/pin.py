"""`fraud-ml pin`: put a snapshot, recent requests and the champion in front of `dvc repro`."""

from pathlib import Path

import click


@click.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--into", type=click.Path(path_type=Path), help="The checkout to pin into; default: the current folder.")
@click.option("--code-rev", help="The commit that will run; default: the checkout's HEAD.")
@click.option(
    "--champion",
    type=click.Choice(["current", "none"]),
    default="current",
    show_default=True,
    help="`none` needs neither ledger nor object store, gives the candidate no rival and looks at no request.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was pinned as JSON.")
def pin(dataset: str, as_of: str, into: Path | None, code_rev: str | None, champion: str, as_json: bool) -> None:
    """Pin the snapshot of DATASET as of AS_OF (YYYY-MM-DD), and the champion to beat, into a checkout's workspace/.

    With them comes what scorers were asked about in the quarter before, which the verdict compares with the snapshot.

    Afterwards `dvc repro` runs there without Airflow, PostgreSQL or a broker.

    \b
    Example: fraud-ml pin carclaims 1996-12-31 && dvc repro
    """
    from fraud_ml.artifacts import Workspace, canonical_json
    from fraud_ml.promotion.pinning import pin_inputs
    from fraud_ml.settings import Settings

    workspace = Workspace((into or Path.cwd()).resolve())
    pinned = pin_inputs(
        Settings.load(),
        workspace,
        dataset=dataset,
        as_of=as_of,
        code_rev=code_rev or _head_of(workspace.root),
        with_champion=champion == "current",
    )
    if as_json:
        click.echo(canonical_json(pinned))
        return
    rival = f"version {pinned.champion.version}" if pinned.champion.exists else "none"
    asked = f"{pinned.served_claims:,} claims" if pinned.served_claims else "none on record"
    click.echo(f"pinned {dataset} as of {as_of} ({pinned.snapshot_digest[:12]}), champion: {rival}, requests: {asked}")


def _head_of(checkout: Path) -> str:
    import subprocess

    from fraud_ml.errors import BadInput

    found = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        raise BadInput(f"{checkout} is not a git checkout", next_step="run it in one, or pass --code-rev")
    return found.stdout.strip()
