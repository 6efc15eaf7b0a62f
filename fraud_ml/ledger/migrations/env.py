"""Alembic's entry: run the migrations on the connection, and in the transaction, that the ledger opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="ledger_version")
with context.begin_transaction():
    context.run_migrations()
