"""Ground-truth masks: a file to the pixels that it marks, and those to the size of a map.

Two choices here move every figure by pixel, and papers differ in both or leave them out: which
values of the file are anomalous, and which pixels are after scaling. Ours are in `marked` and in
`scaled`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onegauge.service.errors import ImageError
from onegauge.service.imaging.image import read_painted
from onegauge.training.errors import DataError

MAX_PIXELS = 200_000_000  # a file of one's own may be larger than an upload


def marked(path: Path) -> np.ndarray:
    """Pixels that the mask at `path` marks, bool (H, W), turned upright as its image is.

    Those above half of the range of values, of a mask in colours by the strongest channel. A mask
    that nowhere gets there numbers the defects instead: then any but 0 is marked. Raises DataError
    where the file cannot be read.
    """
    try:
        picture = read_painted(path.read_bytes(), max_pixels=MAX_PIXELS)
    except (ImageError, OSError) as exc:
        raise DataError(f"the mask {path} cannot be read: {exc}") from exc
    values = np.maximum.reduce([np.asarray(channel) for channel in picture.split()])  # (H, W)
    above = values > 127
    return above if above.any() else values > 0


def scaled(marks: np.ndarray, size: int) -> np.ndarray:
    """Marks (H, W), at least one, at the size of a map, bool (size, size), without any crop.

    A pixel is marked where half of its area or more is. Where that leaves nothing, the pixels with
    the largest share are kept, so that no defect vanishes.
    """
    rows, columns = (_overlaps(pixels, size) for pixels in marks.shape)
    y, x = marks.any(1), marks.any(0)  # most defects are small: the rest adds nothing
    area = rows[:, y] @ marks[np.ix_(y, x)] @ columns[:, x].T  # (size, size) of H * W, exact
    kept = 2 * area >= marks.size
    return kept if kept.any() else area == area.max()


def _overlaps(pixels: int, size: int) -> np.ndarray:
    """How far each of `size` cells covers each of `pixels`, float64 (size, pixels).

    A cell has the length `pixels` and a pixel the length `size`, so that all are whole numbers and
    a share of one half is exact.
    """
    cells, natives = np.arange(size)[:, None] * pixels, np.arange(pixels) * size
    ends = np.minimum(cells + pixels, natives + size)
    return np.clip(ends - np.maximum(cells, natives), 0, None).astype(np.float64)
