"""Inspections, their maps, what persons say of them, and secrets that gateways share."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
CHOSEN_BY = ("line", "decision", "verdict", "unknown_product", "score", "model", "version")


def upgrade() -> None:
    """Make the tables."""
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
    _index("newest", "id", *CHOSEN_BY, "p_value")
    _index("nearest", "margin", "id", *CHOSEN_BY)
    _index("line", "line", "id")
    _index("part", "part", "id")
    _index("verdict", "verdict", "id", where="verdict IS NOT NULL")
    _index("kept", "id", where="picture IS NOT NULL")
    _index("picture", "picture", where="picture IS NOT NULL")
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
    op.create_table(
        "maps",
        sa.Column("inspection", ID, sa.ForeignKey("inspections.id"), primary_key=True),
        sa.Column("png", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def _index(name: str, *columns: str, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        f"inspections_{name}",
        "inspections",
        columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )
