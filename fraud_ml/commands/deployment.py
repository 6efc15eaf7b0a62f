"""`fraud-ml promote` and `relay`: decide a deployment, and carry it to the scorers."""

import click


@click.command()
@click.argument("candidate_digest")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger entry as JSON.")
def promote(candidate_digest: str, as_json: bool) -> None:
    """Promote CANDIDATE_DIGEST if enough distinct people approved exactly it; a second call changes nothing.

    \b
    Example: fraud-ml promote 3f1c… --json
    """
    from fraud_ml.artifacts import canonical_json
    from fraud_ml.promotion import promote as promotion
    from fraud_ml.settings import Settings

    entry = promotion.promote(Settings.load(), candidate_digest)
    if as_json:
        click.echo(canonical_json({**vars(entry), "event_id": entry.event_id}))
    else:
        click.echo(f"{candidate_digest[:12]} is promoted (ledger entry {entry.seq}); the relay tells the scorers")


@click.command()
def relay() -> None:
    """Carry promotions to the scorers, and their answers into the ledger, until stopped (SIGTERM, Ctrl-C).

    Prints one line for each event, with ids and digests only. May be killed at any time.

    \b
    Example: fraud-ml relay
    """
    import signal
    import threading

    from fraud_ml.promotion.relay import run_relay
    from fraud_ml.settings import Settings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_relay(Settings.load(), stop, say=lambda line: print(line, flush=True))
