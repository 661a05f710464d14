"""Inspections, and what persons say of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "inspections",
        sa.Column("id", ID, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("part", sa.Text),
        sa.Column("filename", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("model_digest", sa.Text),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("unknown_product", sa.Boolean, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("max_false_alarm_rate", sa.Float),
        sa.Column("p_value", sa.Float, nullable=False),
        sa.Column("novelty", sa.Float, nullable=False),
        sa.Column("raw_score", sa.Float, nullable=False),
        sa.Column("normal_location", sa.Float, nullable=False),
        sa.Column("normal_scale", sa.Float, nullable=False),
        sa.Column("margin", sa.Float, nullable=False),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("references", sa.JSON, nullable=False),
        sa.Column("timing_ms", sa.JSON, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("picture", sa.Text),
        sa.Column("media_type", sa.Text),
        sa.Column("preview", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.Text),
    )
    for name in ("line", "part", "decision", "verdict", "margin", "score"):
        op.create_index(f"inspections_{name}", "inspections", [name, "id"])
    op.create_index("inspections_picture", "inspections", ["picture"])
    kept = sa.text("picture IS NOT NULL")
    op.create_index(
        "inspections_kept", "inspections", ["id"], sqlite_where=kept, postgresql_where=kept
    )
    op.create_table(
        "judgements",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("inspection", ID, sa.ForeignKey("inspections.id"), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("note", sa.Text),
    )
    op.create_index("judgements_inspection", "judgements", ["inspection", "number"])
