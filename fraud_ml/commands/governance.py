"""`fraud-ml keys`, `approve` and `ledger`: who may approve, an approval, and the record of it."""

from pathlib import Path
from typing import Any

import click


@click.group()
def keys() -> None:
    """Make keys for people who approve, and list who they are.

    \b
    Example: fraud-ml keys make ana
    """


@keys.command("make")
@click.argument("person")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where the private key goes; default: <FRAUD_ML_HOME>/keys."
)
def keys_make(person: str, folder: Path | None) -> None:
    """Write a private key for PERSON (mode 600) and enrol its public half in the approvers file.

    \b
    Example: fraud-ml keys make ana --folder ~/.fraud-ml
    """
    from fraud_ml.governance.approvals import make_key
    from fraud_ml.settings import Settings

    settings = Settings.load()
    path = make_key(person, folder or settings.home / "keys", approvers=settings.approvers)
    click.echo(f"{person} may approve now; the key is {path} (keep it to yourself), enrolled in {settings.approvers}")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print {person: public key} as JSON.")
def keys_list(as_json: bool) -> None:
    """List the people who may approve, with the beginning of their public keys.

    \b
    Example: fraud-ml keys list
    """
    from fraud_ml.artifacts import canonical_json
    from fraud_ml.governance.approvals import read_approvers
    from fraud_ml.settings import Settings

    enrolled = read_approvers(Settings.load().approvers)
    if as_json:
        click.echo(canonical_json(enrolled))
        return
    for person, key in sorted(enrolled.items()):
        click.echo(f"{person}\t{key[:12]}…")


@click.command()
@click.argument("candidate_digest")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Your private key's file.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger entry as JSON.")
def approve(candidate_digest: str, key: Path, as_json: bool) -> None:
    """Sign CANDIDATE_DIGEST (64 hex digits) with your key and record the approval in the ledger.

    \b
    Example: fraud-ml approve 3f1c… --key ~/.fraud-ml/ana.key
    """
    from fraud_ml.artifacts import canonical_json
    from fraud_ml.governance import approvals
    from fraud_ml.ledger import Ledger
    from fraud_ml.settings import Settings

    settings = Settings.load()
    entry = approvals.approve(Ledger(settings.ledger_url), candidate_digest, key, approvers=settings.approvers)
    click.echo(
        canonical_json(entry)
        if as_json
        else f"{entry.actor} approves {candidate_digest[:12]} (ledger entry {entry.seq})"
    )


@click.group()
def ledger() -> None:
    """Show the record of decisions, or recompute it.

    \b
    Example: fraud-ml ledger verify
    """


@ledger.command("show")
@click.option("--kind", help="Only this kind of entry, for example promoted.")
@click.option("--dataset", help="Only this dataset.")
@click.option("--subject", help="Only this candidate digest or run key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, bodies included.")
def ledger_show(kind: str | None, dataset: str | None, subject: str | None, as_json: bool) -> None:
    """List entries, oldest first.

    \b
    Example: fraud-ml ledger show --dataset motor --kind promoted
    """
    from fraud_ml.artifacts import canonical_json
    from fraud_ml.errors import BadInput
    from fraud_ml.ledger import EntryKind

    if kind is not None and kind not in set(EntryKind):
        raise BadInput(f"there is no kind of entry {kind!r}", expected=", ".join(EntryKind))
    found = _ledger().find(kind=EntryKind(kind) if kind else None, dataset=dataset, subject=subject)
    for entry in found:
        if as_json:
            click.echo(canonical_json(entry))
        else:
            when, what = f"{entry.at[:19]}Z", f"{entry.kind:<10}"
            click.echo(f"{entry.seq:>6}  {when}  {what}  {entry.dataset}  {entry.subject[:12]}  {entry.actor}")


@ledger.command("verify")
@click.option(
    "--head", help="SEQ:DIGEST that you noted earlier; the entry with that number must still have that digest."
)
@click.option("--json", "as_json", is_flag=True, help="Print entries, head and problems as JSON.")
def ledger_verify(head: str | None, as_json: bool) -> None:
    """Recompute every entry, link and event; exit 2 naming each that is not as recorded.

    Note the head that it prints outside this database: given back with --head, it shows that not even the whole chain
    was written anew.

    \b
    Example: fraud-ml ledger verify --head 41:9c0f…
    """
    from fraud_ml.artifacts import canonical_json
    from fraud_ml.errors import Tampered

    found = _ledger()
    problems = [*found.verify(), *_against(found, head)]
    now = found.head()
    if as_json:
        click.echo(canonical_json({"entries": now.seq, "head": f"{now.seq}:{now.digest}", "problems": problems}))
    if problems:
        for problem in problems if not as_json else ():
            click.echo(problem, err=True)
        raise Tampered(
            f"the ledger is not as recorded: {problems[0]}", arrived=f"{len(problems)} problems", path="ledger"
        )
    if not as_json:
        click.echo(f"{now.seq} entries, every digest recomputed; head {now.seq}:{now.digest}")


@ledger.command("migrate")
def ledger_migrate() -> None:
    """Bring the ledger's tables to this version; doing it twice changes nothing.

    \b
    Example: fraud-ml ledger migrate
    """
    _ledger().migrate()
    click.echo("the ledger's tables are up to date")


def _ledger() -> Any:
    from fraud_ml.ledger import Ledger
    from fraud_ml.settings import Settings

    return Ledger(Settings.load().ledger_url)


def _against(found: Any, head: str | None) -> list[str]:
    """Return what is wrong with a head that somebody noted earlier."""
    from fraud_ml.errors import BadInput

    if head is None:
        return []
    seq, _, digest = head.partition(":")
    if not seq.isdecimal() or len(digest) != 64:
        raise BadInput("that is not a head", expected="SEQ:DIGEST, as `fraud-ml ledger verify` prints it")
    standing = found.digest_of_entry(int(seq))
    return [] if standing == digest else [f"entry {seq}: its digest is not the one that was noted"]
