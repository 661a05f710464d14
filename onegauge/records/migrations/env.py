"""Alembic runs this to change a database, in the transaction of the connection that it is given."""

from alembic import context

from onegauge.records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
