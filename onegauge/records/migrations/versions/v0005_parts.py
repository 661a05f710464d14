"""What was decided on parts of several views."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "parts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("views", sa.Integer, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("unknown_product", sa.Boolean, nullable=False),
        sa.Column("inspections", sa.JSON, nullable=False),
    )
    op.create_index("parts_part", "parts", ["part", "id"])
