"""The criteria that persons saved."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "criteria",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("max_false_alarm_rate", sa.Float),
        sa.Column("by", sa.Text),
        sa.Column("note", sa.Text),
    )
    op.create_index("criteria_model", "criteria", ["model", "number"])
