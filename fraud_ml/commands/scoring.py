"""Score a snapshot's claims in bulk."""

from pathlib import Path

import click

from fraud_ml.commands.arguments import contract_of
from fraud_ml.settings import Settings


@click.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option(
    "--model",
    "wanted",
    default="champion",
    show_default=True,
    help="A registered version, a candidate's digest, or `champion`: the one that serves.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the scores; default: scores/DATASET/AS_OF/CANDIDATE in the stack's folder.",
)
@click.option(
    "--reasons",
    default=3,
    show_default=True,
    type=click.IntRange(0, 20),
    help="At most so many, told of each claim that is to be investigated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def score(dataset: str, as_of: str, wanted: str, out: Path | None, reasons: int, as_json: bool) -> None:
    """Score every claim of DATASET's snapshot as of AS_OF, one Parquet file an event month.

    Each row holds the claim's key and event time, the probability of fraud, whether it is to be investigated by the
    threshold that the model was judged at, why in words, and which model says so. Asked again, months that stand are
    not scored again unless snapshot, model, code or erasures changed; killed, it goes on behind the last whole month.

    \b
    Example: fraud-ml score motor 2025-12-31 --model champion --out motor-scores
    """
    import tempfile

    from fraud_ml.artifacts import canonical_json
    from fraud_ml.errors import BadInput
    from fraud_ml.ledger import Ledger
    from fraud_ml.promotion.champion import current_champion
    from fraud_ml.scoring.batch import score_snapshot
    from fraud_ml.scoring.model import candidate_of, fetch_registered

    def say(line: str) -> None:
        click.echo(line, err=True)

    settings, contract = Settings.load(), contract_of(dataset)
    ledger = Ledger(settings.ledger_url)
    digest = current_champion(ledger, dataset).candidate_digest if wanted == "champion" else None
    if wanted == "champion" and digest is None:
        raise BadInput(
            f"no model of `{dataset}` is deployed", next_step="promote one, or name a registered version by --model"
        )
    digest = digest or candidate_of(ledger, dataset, wanted)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-model-") as scratch:
        say(f"fetching candidate {digest[:12]} …")
        model = fetch_registered(settings, dataset, digest, Path(scratch) / "model")
        place = out or settings.scores / dataset / as_of / digest[:12]
        done = score_snapshot(settings, contract, as_of, model, place, say, reasons=reasons)
    told = done.manifest
    if as_json:
        facts = {name: getattr(told, name) for name in ("dataset", "as_of", "snapshot_digest", "model_version")}
        facts |= {"candidate_digest": told.candidate_digest, "claims": told.claims, "flagged": told.flagged}
        facts |= {"digest": told.digest, "folder": str(place), "scored": done.scored, "reused": done.reused}
        click.echo(canonical_json(facts))
    else:
        click.echo(
            f"{place}: {told.claims:,} claims scored by version {told.model_version}, {told.flagged:,} to investigate;"
            f" {done.scored} months made, {done.reused} stood already"
        )
