"""One picture through a model of tiles: batch by batch, then one reading of the whole."""

from dataclasses import fields, replace
from itertools import islice

import numpy as np

from onegauge.service.imaging.tiles import Mosaic, Tiles, Tiling
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs


def inspect_tiles(tiles: Tiles, tiling: Tiling, contract: Contract, infer: Infer) -> Outputs:
    """The outputs (1,) and the map (1, h, w) of a picture.

    Its score is the highest of its tiles, which the calibration has been made for, as are its
    p-value and its novelty; what explains the score is of that tile. Raises ImageError where the
    picture turns out to be damaged, and BackendError.
    """
    sides = contract.map_height, contract.map_width
    mosaic = Mosaic(tiles.width, tiles.height, tiling, sides)
    coming, batches = iter(tiles), []
    while some := list(islice(coming, contract.max_batch_size)):
        outputs = infer(np.stack([pixels for _, pixels in some]))
        for (box, _), anomaly_map in zip(some, outputs.anomaly_map, strict=True):
            mosaic.add(box, anomaly_map)
        batches.append(replace(outputs, anomaly_map=outputs.anomaly_map[:0].copy()))
    return _joined(batches, mosaic)


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
