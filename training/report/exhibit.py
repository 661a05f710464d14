"""One test image as it is shown: small, beside its map on the one colour scale, and what was said.

Pictures are JPEGs inside of data URIs, so that the page needs no file beside it.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from onegauge.service.errors import ImageError
from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.image import read_image
from onegauge.training.data.masks import MAX_PIXELS, marked
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import Readings
from onegauge.training.report.scale import THRESHOLD, UNKNOWN, overlay

SIDE = 256  # pixels of the longer side
QUALITY = 80  # of the JPEG: about 10 kB a picture
OUTLINE, EDGE = (0, 229, 255), (0, 40, 50)  # of the ground truth: no colour of the scale


@dataclass(frozen=True)
class Exhibit:
    """A test image and its reading; without pictures where the file is gone."""

    path: Path
    product: str
    defect: str
    anomalous: bool
    score: float
    p_value: float
    novelty: float
    picture: str | None  # data URI
    overlay: str | None  # data URI

    @property
    def outcome(self) -> str:
        """What became of it."""
        if self.score >= THRESHOLD:
            return "found" if self.anomalous else "false alarm"
        return "missed" if self.anomalous else "passed"

    @property
    def unknown(self) -> bool:
        """Whether it was found to show an unknown product."""
        return self.novelty >= UNKNOWN


def exhibit(readings: Readings, row: int) -> Exhibit:
    """Image `row` with its pictures: as it is, and under its map, the ground truth outlined."""
    image, picture = readings.images[row], _read(readings.images[row].path, readings.depth)
    pictures: tuple[str | None, str | None] = None, None
    if picture is not None:
        coloured = overlay(picture, readings.anomaly_map[row])
        pictures = _jpeg(picture), _jpeg(_outlined(coloured, image.mask))
    return Exhibit(
        image.path,
        image.product,
        image.defect,
        image.anomalous,
        float(readings.score[row]),
        float(readings.p_value[row]),
        float(readings.novelty[row]),
        *pictures,
    )


def _read(path: Path, depth: Depth) -> Image.Image | None:
    """The image at its own aspect ratio, its longer side `SIDE` pixels; None where it is gone."""
    try:
        size = (SIDE, SIDE)
        read = read_image(path.read_bytes(), size, max_pixels=MAX_PIXELS, depth=depth)
    except (ImageError, OSError):
        return None
    longer = max(read.width, read.height)
    width, height = (max(1, round(SIDE * side / longer)) for side in (read.width, read.height))
    return Image.fromarray(read.pixels).resize((width, height), Image.Resampling.BILINEAR)


def _outlined(picture: Image.Image, mask: Path | None) -> Image.Image:
    """The picture with a line around what the mask marks, at a small distance from it."""
    inside = mask and _inside(mask, picture.size)
    if not inside:
        return picture
    gap, line, edge = (inside.filter(ImageFilter.MaxFilter(width)) for width in (5, 9, 11))
    for colour, outer, inner in ((EDGE, edge, line), (OUTLINE, line, gap)):
        ring = ImageChops.subtract(outer, inner)
        picture = Image.composite(Image.new("RGB", picture.size, colour), picture, ring)
    return picture


def _inside(mask: Path, size: tuple[int, int]) -> Image.Image | None:
    """255 where the mask marks any of a pixel, at `size` (width, height); None if it is gone."""
    try:
        marks = Image.fromarray(np.where(marked(mask), 255, 0).astype(np.uint8))
    except DataError:
        return None
    return marks.resize(size, Image.Resampling.BOX).point([0] + 255 * [255])


def _jpeg(picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, subsampling=0)  # keeps the outline's colour in it
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
