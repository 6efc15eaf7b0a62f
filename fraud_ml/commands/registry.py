"""Register a run's candidate in MLflow and the ledger, and point MLflow's `champion` at what was deployed."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import click

from fraud_ml.artifacts import Candidate, ModelManifest, Verdict, Workspace, digest_of, load
from fraud_ml.errors import BadInput, Rejected
from fraud_ml.settings import Settings


@click.command()
@click.option("--run-key", help="The retraining run's key; by default computed from what the candidate was made of.")
@click.option("--airflow-run-url", help="Page of the Airflow run, kept on the MLflow run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def register(run_key: str | None, airflow_run_url: str | None, as_json: bool) -> None:
    """Register the candidate of the checkout in the current folder.

    Afterwards one MLflow model version carries the candidate's digest, and the ledger says so once. Both verdicts must
    be `accepted`. Asking again is answered from the ledger and changes nothing.

    \b
    Example: cd runs/motor/2024-07-01/0123456789ab && fraud-ml register --json
    """
    from fraud_ml import registry
    from fraud_ml.ledger import EntryKind, Ledger
    from fraud_ml.params import load_params

    settings, workspace = Settings.load(), Workspace()
    candidate = load(Candidate, workspace.candidate)
    code_rev = checked_out_rev(workspace.root)
    run_key = run_key or run_key_of(candidate, code_rev)
    required = load_params(workspace.params).governance.required_approvals
    ledger = Ledger(settings.ledger_url)
    entry, created = ledger.latest(kind=EntryKind.REGISTERED, subject=candidate.digest), False
    if entry is not None:
        registry.read_evidence(workspace)  # what stands here must still be what was registered
    else:
        made = registry.register(
            settings, workspace, code_rev=code_rev, run_key=run_key, airflow_run_url=airflow_run_url
        )
        created = made.created
        entry = ledger.append(
            EntryKind.REGISTERED,
            dataset=candidate.dataset,
            subject=candidate.digest,
            actor="registry",
            body={
                "candidate": asdict(candidate),
                "model_name": made.name,
                "version": made.version,
                "run_id": made.run_id,
                "run_url": made.run_url,
                "model_uri": made.model_uri,
                "manifest": asdict(load(ModelManifest, workspace.models / candidate.family / "model.json")),
                "evaluation": {
                    "metrics": json.loads(workspace.metrics.read_text(encoding="utf-8")),
                    "verdict": asdict(load(Verdict, workspace.evaluation_verdict)),
                },
                "required_approvals": required,
                "run_key": run_key,
            },
            once=True,
        )
    told = {name: entry.body[name] for name in ("model_name", "version", "run_id", "run_url", "required_approvals")}
    if as_json:
        digests = {"candidate_digest": candidate.digest, "model_digest": candidate.model_digest}
        click.echo(json.dumps({**digests, **told, "created": created}))
    else:
        state = "registered" if created else "was registered before"
        click.echo(f"{told['model_name']} version {told['version']} {state}: {told['run_url']}")
        click.echo(f"It needs {told['required_approvals']} approvals of candidate {candidate.digest}")


@click.command()
@click.argument("candidate_digest")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def crown(candidate_digest: str, as_json: bool) -> None:
    """Point MLflow's alias `champion` at what the ledger says was deployed last for CANDIDATE_DIGEST's dataset.

    The alias is a projection of the ledger, never a decision: a candidate that no scorer acknowledged is refused, and
    where a later one was deployed since, that one keeps the alias.

    \b
    Example: fraud-ml crown 3f1c…64 hex digits…
    """
    from fraud_ml import registry
    from fraud_ml.ledger import EntryKind, Ledger

    settings = Settings.load()
    ledger = Ledger(settings.ledger_url)
    deployed = ledger.latest(kind=EntryKind.DEPLOYED, subject=candidate_digest)
    if deployed is None:
        raise Rejected(
            f"the ledger knows no deployment of candidate {candidate_digest[:12]}",
            expected="an acknowledgement by a scorer",
            next_step="promote it, and wait for the scorer to answer",
        )
    last = ledger.latest(kind=EntryKind.DEPLOYED, dataset=deployed.dataset) or deployed
    registered = ledger.latest(kind=EntryKind.REGISTERED, subject=last.subject)
    if registered is None:
        raise Rejected(
            f"the ledger knows no registration of candidate {last.subject[:12]}", next_step="verify the ledger"
        )
    version = str(registered.body["version"])
    registry.set_champion(settings, deployed.dataset, version)
    name = registry.model_name(deployed.dataset)
    if as_json:
        click.echo(json.dumps({"model_name": name, "version": version, "candidate_digest": last.subject}))
    else:
        click.echo(f"{name}: champion is version {version} (candidate {last.subject[:12]})")


def run_key_of(candidate: Candidate, code_rev: str) -> str:
    """Return the key of the run that makes this candidate: what goes in, digested."""
    return digest_of(
        {
            "dataset": candidate.dataset,
            "as_of": candidate.as_of,
            "snapshot_digest": candidate.snapshot_digest,
            "code_rev": code_rev,
            "params_digest": candidate.params_digest,
        }
    )[:12]


def checked_out_rev(root: Path) -> str:
    """Return the git commit of the checkout, with `-dirty` behind it when pipeline code differs from that commit."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BadInput(
                f"{root} is no git checkout with a commit",
                next_step="register from a checkout of the code, so that the model names its code",
            )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "fraud_ml", "expectations", "dvc.yaml")
    return git("rev-parse", "HEAD") + ("-dirty" if changed else "")


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def reproduce(run: str, as_json: bool) -> None:
    """Train RUN again, a candidate's digest or an MLflow run's id, and compare the models bit by bit.

    Its snapshot, its params and its commit are taken, in a checkout of its own that is removed afterwards. Exit code 0
    when the same model came out, 2 when another one did. Where code, libraries or the processor's family are others
    than those that trained it, golden predictions are compared within a stated tolerance instead.

    \b
    Example: fraud-ml reproduce 3f1c…64 hex digits…
    """
    from fraud_ml.reproduce import reproduce as train_again

    found = train_again(Settings.load(), run, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        for other in found.differences:
            click.echo(f"another {other.name}: trained with {other.recorded}, here {other.here}")
        judged = "bit by bit" if found.judged_by == "bits" else f"within {found.tolerance:g} of probability"
        outcome = "the same model" if found.is_same else "ANOTHER MODEL"
        click.echo(f"{outcome}, compared {judged}: {found.recorded_model_digest[:12]}, again {found.model_digest[:12]}")
        click.echo(
            f"{found.golden_equal} of {found.golden_claims} golden predictions are equal; farthest {found.farthest:.3g}"
        )
    if not found.is_same:
        raise SystemExit(2)
