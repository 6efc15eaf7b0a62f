"""Run a scorer."""

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--name", default="scorer-1", show_default=True, help="Its queue is fraud.scorer.<name>.")
def serve(host: str, port: int, name: str) -> None:
    """Serve what was promoted: one live model for each dataset, over HTTP, until told to end.

    Promotions come by the broker; without one, what is live goes on being served.

    \b
    Example: fraud-ml serve --port 8080 --name scorer-1
    """
    from fraud_ml.serving import run_scorer
    from fraud_ml.settings import Settings

    run_scorer(Settings.load(), host=host, port=port, name=name)
