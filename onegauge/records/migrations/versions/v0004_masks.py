"""What requests left to be inspected of pictures that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "masks",
        sa.Column("inspection", ID, sa.ForeignKey("inspections.id"), primary_key=True),
        sa.Column("png", sa.LargeBinary, nullable=False),
    )
