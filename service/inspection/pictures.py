"""Encoded pictures as a version of the model takes them, and what it says of one in tiles."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from onegauge.service.imaging.image import InputImage, read_image
from onegauge.service.imaging.tiles import Mosaic, TiledPicture
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import OUTPUTS, Outputs

Run: TypeAlias = Callable[[Callable[[], Any]], Any]  # runs a task, and gives what it comes to


def read_picture(data: bytes, contract: Contract, max_pixels: int) -> InputImage | TiledPicture:
    """Decode a picture, or make it ready to be cut; raises a subclass of ImageError."""
    size, depth = (contract.height, contract.width), contract.depth
    if contract.tiling:
        return TiledPicture(data, contract.tiling, size, max_pixels=max_pixels, depth=depth)
    return read_image(data, size, max_pixels=max_pixels, depth=depth)


def infer_tiles(picture: TiledPicture, contract: Contract, infer: Infer, run: Run) -> Outputs:
    """The outputs (1,) of a picture, batch by batch of its tiles; `run` reads and joins them.

    Raises ImageError where the picture turns out to be damaged.
    """
    assert contract.tiling
    sides = (contract.map_height, contract.map_width)
    mosaic = Mosaic(picture.width, picture.height, contract.tiling, sides)
    coming = iter(picture)
    while some := run(lambda: list(islice(coming, contract.max_batch_size))):
        outputs = infer(np.stack([pixels for _, pixels in some]))
        told = {name: getattr(outputs, name) for name in OUTPUTS}
        run(partial(mosaic.add, [tile for tile, _ in some], told))
    return Outputs.from_tensors(run(mosaic.whole), 1)
