"""A kept picture as a browser may show it: decoded and encoded anew, never as it was uploaded."""

from io import BytesIO

import numpy as np
from PIL import Image

from onegauge.records import previews
from onegauge.schemas import HIGH, LOW
from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.image import read_reduced
from onegauge.service.inspection.anomaly_map import encode_map

MAX_PIXELS = 2**28  # what was inspected has passed the bound of the settings
SIDE = 2048  # pixels of the longer side, at most
QUALITY = 90


def picture(data: bytes, depth: Depth = UNKNOWN) -> bytes:
    """A picture as a JPEG file, upright, of at most SIDE pixels a side; raises ImageError."""
    file = BytesIO()
    read_reduced(data, SIDE, max_pixels=MAX_PIXELS, depth=depth).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def overlay(data: bytes, small_map: bytes, depth: Depth = UNKNOWN) -> bytes:
    """The same, coloured where its small map, a PNG file, is high; raises ImageError."""
    original = read_reduced(data, SIDE, max_pixels=MAX_PIXELS, depth=depth)
    levels = np.asarray(Image.open(BytesIO(small_map), formats=["PNG"]), np.float32)  # (h, w)
    anomaly_map = LOW + levels * np.float32((HIGH - LOW) / 255)
    return encode_map(anomaly_map, original.size, "overlay", original).data


def thumbnail(data: bytes, depth: Depth = UNKNOWN) -> bytes:
    """A picture as a small JPEG file; raises ImageError."""
    return previews.thumbnail(read_reduced(data, previews.SIDE, max_pixels=MAX_PIXELS, depth=depth))
