"""One picture through a model of tiles: batch by batch, then one reading of the whole."""

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from onegauge.service.imaging.tiles import Box, Mosaic, Pixels, Tiles, Tiling
from onegauge.service.model.backends import Model, Outputs
from onegauge.service.threads import Threads


async def inspect_tiles(
    tiles: Tiles, tiling: Tiling, model: Model, deadline: float, threads: Threads
) -> Outputs:
    """The outputs (1,) and the map (1, h, w) of a picture.

    Its score is the highest of its tiles, which the calibration has been made for, as are its
    p-value and its novelty; what explains the score is of that tile. Raises ImageError where the
    picture turns out to be damaged, and BackendError.
    """
    contract = model.contract
    sides = contract.map_height, contract.map_width
    mosaic = await threads.run(partial(Mosaic, tiles.width, tiles.height, tiling, sides))
    coming, batches = iter(tiles), []
    take = partial(_take, coming, contract.max_batch_size)
    while taken := await threads.run(take):
        boxes, pixels = taken
        outputs = await model.infer(pixels, deadline)
        await threads.run(partial(_lay, mosaic, boxes, outputs.anomaly_map))
        batches.append(replace(outputs, anomaly_map=outputs.anomaly_map[:0].copy()))
    return await threads.run(partial(_joined, batches, mosaic))


def _take(coming: Iterator[tuple[Box, Pixels]], count: int) -> tuple[list[Box], Pixels] | None:
    """The next tiles, a batch (B, H, W, 3) in one piece, None where there are no more."""
    some = list(islice(coming, count))
    return ([box for box, _ in some], np.stack([pixels for _, pixels in some])) if some else None


def _lay(mosaic: Mosaic, boxes: list[Box], maps: NDArray[np.float32]) -> None:
    for box, anomaly_map in zip(boxes, maps, strict=True):
        mosaic.add(box, anomaly_map)


def _joined(batches: list[Outputs], mosaic: Mosaic) -> Outputs:
    columns = {
        field.name: np.concatenate([getattr(batch, field.name) for batch in batches])
        for field in fields(Outputs)
        if field.name != "anomaly_map"
    }
    worst = int(columns["score"].argmax())
    told = {name: column[worst : worst + 1] for name, column in columns.items()}
    told["p_value"] = columns["p_value"].min(keepdims=True)
    told["novelty"] = columns["novelty"].max(keepdims=True)
    return Outputs(**told, anomaly_map=mosaic.blended()[np.newaxis])
