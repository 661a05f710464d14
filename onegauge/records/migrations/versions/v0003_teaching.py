"""What images teach, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
KEPT = sa.text("picture IS NOT NULL")
UNDER_WAY = sa.text("state IN ('making', 'candidate', 'shadowed')")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lessons",
        sa.Column("inspection", ID, sa.ForeignKey("inspections.id"), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("product", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "proposals",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("removed", sa.JSON, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.Column("effect", sa.JSON),
        sa.Column("error", sa.Text),
    )
    op.create_index(
        "proposals_under_way",
        "proposals",
        ["model"],
        unique=True,
        sqlite_where=UNDER_WAY,
        postgresql_where=UNDER_WAY,
    )
    op.create_table(
        "steps",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("proposal", sa.Integer, sa.ForeignKey("proposals.number"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text),
    )
    op.create_index("steps_proposal", "steps", ["proposal", "number"])
    op.create_table(
        "taught",
        sa.Column("proposal", sa.Integer, sa.ForeignKey("proposals.number"), primary_key=True),
        sa.Column("inspection", ID, sa.ForeignKey("inspections.id"), primary_key=True),
    )
    op.create_index("taught_inspection", "taught", ["inspection"])
    op.create_index(
        "inspections_unknown",
        "inspections",
        ["unknown_product", "id"],
        sqlite_where=KEPT,
        postgresql_where=KEPT,
    )
