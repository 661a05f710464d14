"""What was made of lessons: a version of the model, step by step, and who had each step done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from onegauge.records.database import Database
from onegauge.records.errors import RefusedRecord, WrongState
from onegauge.records.search import storable
from onegauge.records.tables import UNDER_WAY, proposals, steps, taught
from onegauge.schemas import ProposalState

NEWEST = 20  # proposals of a list

_P = proposals.c


@dataclass(frozen=True)
class Step:
    """What a proposal became, when, and who wanted it so."""

    state: ProposalState
    time: datetime
    by: str | None


@dataclass(frozen=True)
class Proposal:
    """A version that is made of the served one; `removed` are ids of references that leave."""

    number: int
    model: str
    base: str
    state: ProposalState
    version: str | None = None
    removed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # by the command that made it
    effect: dict[str, Any] | None = None
    error: str | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def under_way(self) -> bool:
        """Whether it waits for something to be made or decided."""
        return self.state in UNDER_WAY


class Proposals:
    """The proposals in a database; each method raises RecordsUnavailable."""

    def __init__(self, database: Database):
        self._database = database

    def begin(
        self,
        model: str,
        base: str,
        *,
        by: str | None,
        inspected: Sequence[str] = (),
        removed: Sequence[str] = (),
    ) -> int:
        """Begin one of these images or references; raises WrongState while another is under way."""
        new = {"model": model, "base": base, "state": "making", "removed": [*removed], "said": []}
        try:
            with self._database.writing() as connection:
                made = connection.execute(proposals.insert().values(**new))
                (number,) = made.inserted_primary_key or (0,)
                _note(connection, number, "making", by)
                for inspection in inspected:
                    row = {"proposal": number, "inspection": inspection}
                    connection.execute(taught.insert().values(**row))
        except RefusedRecord as exc:
            raise WrongState("another proposal is under way: serve it or withdraw it") from exc
        return int(number)

    def step(
        self,
        number: int,
        state: ProposalState,
        *,
        by: str | None,
        after: Sequence[ProposalState],
        **found: Any,
    ) -> None:
        """Have one be in another state, with what was found.

        Raises WrongState unless it is in one of `after`.
        """
        changed = update(proposals).where(_P.number == number, _P.state.in_(after))
        with self._database.writing() as connection:
            if not connection.execute(changed.values(state=state, **found)).rowcount:
                raise WrongState(f"proposal {number} is not {' or '.join(after)} any more")
            _note(connection, number, state, by)

    def get(self, number: int) -> Proposal | None:
        """One with its steps, None where there is none of this number."""
        found = self._find(_P.number == number)
        return found[0] if found else None

    def newest(self, model: str) -> list[Proposal]:
        """The last ones of a model, the newest first."""
        return self._find(_P.model == model)

    def _find(self, condition: Any) -> list[Proposal]:
        query = select(proposals).where(condition).order_by(_P.number.desc()).limit(NEWEST)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            numbers = [row["number"] for row in rows]
            noted = select(steps).where(steps.c.proposal.in_(numbers)).order_by(steps.c.number)
            done = connection.execute(noted).all()
        return [
            Proposal(
                **row,
                steps=[Step(s.state, s.time, s.by) for s in done if s.proposal == row["number"]],
            )
            for row in rows
        ]


def _note(connection: Connection, number: int, state: ProposalState, by: str | None) -> None:
    row = {"proposal": number, "state": state, "time": datetime.now(UTC)}
    connection.execute(steps.insert().values(**row, by=by and storable(by)))
