"""`fraud-ml erase`: make a person unreadable, or say where they are."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fraud_ml.governance.erasure import Found


@click.command()
@click.argument("dataset")
@click.argument("claimant", required=False)
@click.option(
    "--claimant-file", type=click.Path(path_type=Path), help="Read CLAIMANT from this file's only line instead."
)
@click.option("--reason", default="", help="Why, for the ledger; never who. Needed unless --dry-run.")
@click.option("--by", "actor", help="Who decided, for the ledger.  [default: the user]")
@click.option("--dry-run", is_flag=True, help="Only list where the person is.")
@click.option("--readmit", is_flag=True, help="Instead: let rows of an erased person be landed again.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found and done as JSON.")
def erase(
    dataset: str,
    claimant: str | None,
    claimant_file: Path | None,
    reason: str,
    actor: str | None,
    dry_run: bool,
    readmit: bool,
    as_json: bool,
) -> None:
    """Make CLAIMANT's personal values unreadable in the log of DATASET and in every snapshot of it, for good.

    The key under which they are sealed is destroyed; bytes, manifests and tags stay as they are, and verify. It lists
    the snapshots that hold the person's rows and the registered models that learned from them. Repeated, it finishes
    what was cut short. Without CLAIMANT, or with `-`, one line is read from standard input, so that no shell keeps it.

    \b
    Example: fraud-ml erase motor --reason "request 17" < claimant.txt
    """
    import getpass

    from fraud_ml.artifacts import canonical_json
    from fraud_ml.commands.arguments import contract_of
    from fraud_ml.governance import erasure as room
    from fraud_ml.settings import Settings

    person, settings, contract = _one_line(claimant, claimant_file), Settings.load(), contract_of(dataset)
    if dry_run:
        found = room.find(settings, contract, person)
        if as_json:
            click.echo(canonical_json(found))
        else:
            _show(found)
            click.echo("nothing was changed (--dry-run)")
        return
    actor = actor or getpass.getuser()
    if readmit:
        entry = room.readmit(settings, contract, person, actor=actor, reason=reason)
        told = f"rows of this person may be landed in {dataset} again (ledger entry {entry.seq})"
        click.echo(canonical_json(entry) if as_json else told)
        return
    done = room.erase(settings, contract, person, actor=actor, reason=reason)
    if as_json:
        click.echo(canonical_json(done))
        return
    _show(done.found)
    click.echo("erased" if done.created else f"was erased at {done.erased}; what had been left undone is done now")
    gone = done.purged
    click.echo(
        f"taken out of {gone.key_files:,} pinned workspaces, {gone.windows:,} windows, {gone.quarantined_rows:,} rows"
        f" in quarantine and {gone.dead_letters:,} dead letters; ledger entry {done.ledger_entry}"
    )
    if done.found.models:
        click.echo("models keep what they learned: retrain (`fraud-ml pin` gives a new run), and promote the new one")


def _one_line(claimant: str | None, file: Path | None) -> str:
    from fraud_ml.errors import BadInput

    if file is not None and claimant is not None:
        raise BadInput("the claimant is given twice", expected="an argument, --claimant-file or standard input")
    if file is not None:
        try:
            told = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} cannot be read", arrived=type(error).__name__) from None
    elif claimant in (None, "-"):
        told = sys.stdin.read()
    else:
        told = str(claimant)
    lines = told.splitlines()
    if len(lines) != 1 or not lines[0]:
        raise BadInput("no claimant is given", expected="one line, an identifier", arrived=f"{len(lines)} lines")
    return lines[0]


def _show(found: "Found") -> None:
    click.echo(
        f"{found.dataset}, person {found.subject_digest[:12]}: {found.rows:,} rows of {found.claims:,} claims,"
        f" named in {found.mentions:,} rows of others"
    )
    click.echo(f"snapshots: {', '.join(found.snapshots) or 'none'}")
    for model in found.models:
        alias = f" ({', '.join(model.aliases)})" if model.aliases else ""
        click.echo(f"model {model.name} version {model.version}{alias}, learned from {model.as_of}")
    if not found.models:
        click.echo("models: none")
