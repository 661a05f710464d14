"""The normal images of the version that is served, and which of them may be none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from onegauge.library.fit import find_embedding, neighbours
from onegauge.library.library import Library
from onegauge.library.suspicion import suspicion
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.review.doors import VisitorDep
from onegauge.service.review.pages import PageRoute, page
from onegauge.service.review.teach import TeacherDep
from onegauge.service.review.visitor import HOME

SHOWN = 60  # at once
COMPARED = 3  # normal images beside each suspect

router = APIRouter(prefix=f"{HOME}/references", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Reference:
    """A normal image that others are compared with."""

    id: str
    name: str  # below the folder that it was added from
    product: str
    suspicion: float | None = None  # how many times odder it is than its like
    nearest: Sequence[str] = ()  # ids of the normal images that it was compared with first


@dataclass(frozen=True)
class Gallery:
    """The references of a library, in its order and by suspicion, the most suspicious first."""

    library: Library
    references: Sequence[Reference]
    suspects: Sequence[Reference]

    @classmethod
    def of(cls, library: Library) -> Self:
        """Compare each with its like, as if it were none of them."""
        rows = library.references
        found = neighbours(library, *find_embedding(library), rows)
        suspicions = suspicion(library.oddness, found, library.oddness)  # (N,)
        known = [_reference(library, row) for row in rows.tolist()]
        suspects = []
        for place in np.argsort(-suspicions, kind="stable").tolist():
            like = tuple(known[other].id for other in found.rows[place, :COMPARED].tolist())
            score = float(suspicions[place])
            suspects.append(replace(known[place], suspicion=score, nearest=like))
        return cls(library, known, suspects)


class Galleries:
    """That of the library that was looked at last."""

    def __init__(self) -> None:
        self._last: Gallery | None = None

    def of(self, library: Library) -> Gallery:
        """The gallery of a library, made anew where it is another than before."""
        if self._last is None or self._last.library is not library:
            self._last = Gallery.of(library)
        return self._last


@router.get("")
async def references(
    request: Request,
    gateway: GatewayDep,
    teacher: TeacherDep,
    visitor: VisitorDep,
    by: Literal["name", "suspicion"] = "name",
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """The normal images, so many at once."""
    library = await gateway.inspector.library()
    galleries: Galleries = request.app.state.galleries
    gallery = await asyncio.to_thread(galleries.of, library)
    found = gallery.suspects if by == "suspicion" else gallery.references
    return page(
        request,
        "references.html",
        visitor,
        by=by,
        number=number,
        pages=-(-len(found) // SHOWN),
        total=len(found),
        references=found[(number - 1) * SHOWN : number * SHOWN],
        contract=gateway.versions.current().contract,
        removable=visitor.may_teach and teacher.hindrance() is None,
    )


def _reference(library: Library, row: int) -> Reference:
    origin = library.origins[library.pictures[row]]
    return Reference(origin.id, origin.name, library.products[row])
