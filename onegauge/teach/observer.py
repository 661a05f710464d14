"""The graph of a gauge, asked about images beside a library that is being made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onegauge.export.graph import HIDDEN, OWN, POINTS, looking
from onegauge.export.session import Session
from onegauge.library.fit import Seen
from onegauge.service.model.contract import IMAGE

BATCH = 8
NEW = np.array([[-1, -1]])  # what none of the references is of one group with

Constants = Mapping[str, NDArray[Any]]
Sight = tuple[Seen, NDArray[np.float32]]  # of R images, and their patches (R, h·w, A)


class Observer:
    """Asks about images uint8 (R, H, W, 3), with any constants in the place of the library's."""

    def __init__(self, model: ModelProto, constants: Constants) -> None:
        """`constants` are those of the library as it is; the graph is changed."""
        self.constants = dict(constants)
        self._session = Session(looking(model, constants))

    def see(self, images: NDArray[np.uint8], constants: Constants | None = None) -> Sight:
        """What the graph sees in new images."""
        own = np.repeat(NEW, len(images), 0)
        *seen, points = self._ask((*HIDDEN, POINTS), images, own, constants)
        return Seen(*seen), points.reshape(len(points), -1, points.shape[-1])

    def maps(
        self, images: NDArray[np.uint8], own: NDArray[np.int64], constants: Constants
    ) -> NDArray[np.float16]:
        """Raw maps (R, h, w) beside references of none of the groups `own` (R, 2)."""
        (maps,) = self._ask(HIDDEN[2:], images, own, constants)
        return maps.astype(np.float16)

    def _ask(
        self,
        names: tuple[str, ...],
        images: NDArray[np.uint8],
        own: NDArray[np.int64],
        constants: Constants | None = None,
    ) -> list[NDArray[Any]]:
        """In batches of what has one span of groups, as the graph takes one."""
        everything = {**self.constants, **(constants or {})}
        given = {name: everything[name] for name in self._session.inputs & everything.keys()}
        starts = [0, *(np.flatnonzero((own[1:] != own[:-1]).any(1)) + 1), len(own)]
        batches: Iterator[Constants] = (
            {IMAGE: images[at : min(at + BATCH, end)], OWN: own[[start]], **given}
            for start, end in zip(starts, starts[1:], strict=False)
            for at in range(start, end, BATCH)
        )
        return self._session.outputs(names, batches)
