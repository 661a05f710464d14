"""How a database came to have the tables: Alembic's environment, and a module for each change."""
