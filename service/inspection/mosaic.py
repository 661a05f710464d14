"""One picture through a model of tiles: batch by batch, then one reading of the whole."""

from itertools import islice

import numpy as np

from onegauge.service.imaging.tiles import Mosaic, Tiles, Tiling
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs


def inspect_tiles(tiles: Tiles, tiling: Tiling, contract: Contract, infer: Infer) -> Outputs:
    """The outputs (1,) and the map (1, h, w) of a picture.

    Raises ImageError where the picture turns out to be damaged, and BackendError.
    """
    sides = contract.map_height, contract.map_width
    mosaic, coming = Mosaic(tiles.width, tiles.height, tiling, sides), iter(tiles)
    while some := list(islice(coming, contract.max_batch_size)):
        outputs = infer(np.stack([pixels for _, pixels in some]))
        mosaic.add([box for box, _ in some], vars(outputs))
    return Outputs(**mosaic.whole())
