"""The tables of records, as the newest migration leaves them.

An id sorts by time, so that an index of something and the id serves "the newest of it" too, and
times that are asked for become ids.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)


class Moment(TypeDecorator[datetime]):
    """A time in UTC, which SQLite keeps without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# compared by its bytes, as Python does
ID = String(32).with_variant(String(32, collation="C"), "postgresql")

metadata = MetaData()

inspections = Table(
    "inspections",
    metadata,
    Column("id", ID, primary_key=True),
    Column("time", Moment, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("line", Text),
    Column("part", Text),
    Column("filename", Text),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("model_digest", Text),
    Column("decision", Text, nullable=False),
    Column("unknown_product", Boolean, nullable=False),
    Column("score", Float, nullable=False),
    Column("threshold", Float),
    Column("max_false_alarm_rate", Float),
    Column("p_value", Float, nullable=False),
    Column("novelty", Float, nullable=False),
    Column("raw_score", Float, nullable=False),
    Column("normal_location", Float, nullable=False),
    Column("normal_scale", Float, nullable=False),
    Column("margin", Float, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("references", JSON, nullable=False),
    Column("timing_ms", JSON, nullable=False),
    Column("key", Text),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("picture", Text),
    Column("media_type", Text),
    Column("preview", Boolean, nullable=False),
    Column("verdict", Text),  # the last one, so that it can be searched for
    Column("part_decision", Text),  # on all views of its part, once that is made
    # whether a worse view of its part stands for it in a list of parts
    Column("folded", Boolean, nullable=False, server_default=false()),
)

# The first two hold all that a list is chosen by: what is rare is looked for in them, without the
# rows, which are ten times as large. The others are for what is rare and often asked for.
_CHOSEN_BY = (
    *("line", "decision", "verdict", "unknown_product", "score", "model", "version"),
    *("part_decision", "folded"),
)
_JUDGED = inspections.c.verdict.is_not(None)
_KEPT = inspections.c.picture.is_not(None)
_OF_PART = inspections.c.part_decision.is_not(None)
for name, columns, condition in (
    ("newest", ("id", *_CHOSEN_BY, "p_value"), None),
    ("nearest", ("margin", "id", *_CHOSEN_BY), None),
    ("line", ("line", "id"), None),
    ("part", ("part", "id"), None),
    ("verdict", ("verdict", "id"), _JUDGED),
    ("part_decision", ("part_decision", "id"), _OF_PART),
    ("kept", ("id",), _KEPT),
    ("picture", ("picture",), _KEPT),
    ("unknown", ("unknown_product", "id"), _KEPT),
):
    Index(
        f"inspections_{name}",
        *(inspections.c[column] for column in columns),
        sqlite_where=condition,
        postgresql_where=condition,
    )

judgements = Table(
    "judgements",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("inspection", ID, ForeignKey("inspections.id"), nullable=False),
    Column("time", Moment, nullable=False),
    Column("verdict", Text),
    Column("by", Text),
    Column("note", Text),
    Index("judgements_inspection", "inspection", "number"),
)

# a file for each costs more than the rest of an inspection
small_maps = Table(
    "maps",
    metadata,
    Column("inspection", ID, ForeignKey("inspections.id"), primary_key=True),
    Column("png", LargeBinary, nullable=False),
)

# what requests left to be inspected, white, at the size of the model's map
masks = Table(
    "masks",
    metadata,
    Column("inspection", ID, ForeignKey("inspections.id"), primary_key=True),
    Column("png", LargeBinary, nullable=False),
)

# what was decided on the views of a part together
parts = Table(
    "parts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("time", Moment, nullable=False),
    Column("line", Text),
    Column("part", Text, nullable=False),
    Column("views", Integer, nullable=False),
    Column("decision", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("unknown_product", Boolean, nullable=False),
    Column("inspections", JSON, nullable=False),  # ids of the views, some of which may have left
    Index("parts_part", "part", "id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

criteria = Table(
    "criteria",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("time", Moment, nullable=False),
    Column("model", Text, nullable=False),
    Column("threshold", Float),
    Column("max_false_alarm_rate", Float),
    Column("by", Text),
    Column("note", Text),
    Index("criteria_model", "model", "number"),
)

# what persons say that images are, for teaching: a row an image, the last word counts
lessons = Table(
    "lessons",
    metadata,
    Column("inspection", ID, ForeignKey("inspections.id"), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("product", Text),
    Column("by", Text),
    Column("time", Moment, nullable=False),
)

proposals = Table(
    "proposals",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("base", Text, nullable=False),  # the version that was served when it was made
    Column("version", Text),  # the one that came of it
    Column("state", Text, nullable=False),
    Column("removed", JSON, nullable=False),  # ids of references; [] where images are added
    Column("said", JSON, nullable=False),
    Column("effect", JSON),
    Column("error", Text),
)
UNDER_WAY = ("making", "candidate", "shadowed")
# one at a time of each model
Index(
    "proposals_under_way",
    proposals.c.model,
    unique=True,
    sqlite_where=proposals.c.state.in_(UNDER_WAY),
    postgresql_where=proposals.c.state.in_(UNDER_WAY),
)

steps = Table(
    "steps",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("proposal", Integer, ForeignKey("proposals.number"), nullable=False),
    Column("state", Text, nullable=False),  # that it led to
    Column("time", Moment, nullable=False),
    Column("by", Text),
    Index("steps_proposal", "proposal", "number"),
)

taught = Table(
    "taught",
    metadata,
    Column("proposal", Integer, ForeignKey("proposals.number"), primary_key=True),
    Column("inspection", ID, ForeignKey("inspections.id"), primary_key=True),
    Index("taught_inspection", "inspection"),
)
