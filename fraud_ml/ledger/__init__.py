"""The record of decisions: append-only, each entry chained to the one before; the one owner of SQLAlchemy and Alembic.

An entry and the event that tells the world about it are written in one transaction (outbox), and a message from the
world is recorded in one transaction with the entry that it causes (inbox). Importing this loads no database library.
"""

from fraud_ml.ledger._chain import GENESIS, Entry, EntryKind
from fraud_ml.ledger._ledger import Head, Ledger, OutboxWatch

__all__ = ["GENESIS", "Entry", "EntryKind", "Head", "Ledger", "OutboxWatch"]
