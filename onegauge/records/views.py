"""The views of a part, each of which bears what was decided on them together.

So parts are looked for as pictures are, and a list can show one picture of each: its worst.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, select, update

from onegauge.records.tables import inspections, parts

_C, _BESIDE = inspections.c, inspections.alias().c
# of the views that are there an anomalous one, if any, and of these that with the highest score
_WORST = (
    select(_BESIDE.id)
    .where(_BESIDE.id.in_(bindparam("views", expanding=True)))
    .order_by((_BESIDE.decision == "anomalous").desc(), _BESIDE.score.desc(), _BESIDE.id)
    .limit(1)
)
# made once: to make it takes longer than to have it done
_BEAR = (
    update(inspections)
    .where(_C.id.in_(bindparam("views", expanding=True)))
    .values(part_decision=bindparam("decided"), folded=_C.id != _WORST.scalar_subquery())
)


def tell_views(connection: Connection, named: Collection[str], since: str) -> None:
    """Have the views of parts of these names bear what was decided on them since an id.

    A view and the decision are written in either order, and each tells the other.
    """
    decided = select(parts.c.decision, parts.c.inspections)
    later = decided.where(parts.c.part.in_(named), parts.c.id >= since).order_by(parts.c.id)
    for decision, views in connection.execute(later).all():
        connection.execute(_BEAR, {"decided": decision, "views": views})


def unfold(connection: Connection, leaving: Sequence[str]) -> None:
    """Have nothing stand for the views of parts of which some leave: it may be those."""
    alone = select(_C.part).where(_C.id.in_(leaving), _C.part_decision.is_not(None))
    others = _C.part.in_(alone), _C.folded.is_(True), _C.id.not_in(leaving)
    connection.execute(update(inspections).where(*others).values(folded=False))
