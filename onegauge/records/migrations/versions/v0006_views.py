"""What was decided on their part, borne by inspections."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

CHOSEN_BY = ("line", "decision", "verdict", "unknown_product", "score", "model", "version")
OF_PART = ("part_decision", "folded")


def upgrade() -> None:
    """Make the columns, and have the indexes of lists hold them."""
    op.add_column("inspections", sa.Column("part_decision", sa.Text))
    folded = sa.Column("folded", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("inspections", folded)
    for name, columns in {
        "newest": ("id", *CHOSEN_BY, *OF_PART, "p_value"),
        "nearest": ("margin", "id", *CHOSEN_BY, *OF_PART),
    }.items():
        op.drop_index(f"inspections_{name}", "inspections")
        op.create_index(f"inspections_{name}", "inspections", columns)
    decided = sa.text("part_decision IS NOT NULL")
    op.create_index(
        "inspections_part_decision",
        "inspections",
        ["part_decision", "id"],
        sqlite_where=decided,
        postgresql_where=decided,
    )
