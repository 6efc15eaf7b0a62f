"""A ledger in a database of its own."""

import uuid

from fraud_ml.ledger import Ledger
from fraud_ml.settings import Settings


def empty_ledger(postgres_settings: Settings) -> str:
    """Return the address of a new, empty ledger on that server."""
    from sqlalchemy import create_engine, make_url, text

    server, name = make_url(postgres_settings.ledger_url), f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    url = server.set(database=name).render_as_string(hide_password=False)
    Ledger(url).migrate()
    return url
