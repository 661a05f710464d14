"""Small pictures of inspections, for lists of many and to look again."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onegauge.schemas import HIGH, LOW

SIDE = 192  # pixels of the longer side of a thumbnail
MAP_SIDE = 128
QUALITY = 80  # of the JPEG


def thumbnail(picture: Image.Image) -> bytes:
    """A picture as a JPEG file of at most 192 pixels; the picture itself is made smaller."""
    picture.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    file = BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def mask(inspected: NDArray[np.bool_]) -> bytes:
    """What was inspected (h, w) as a PNG file of one bit, white where it was."""
    file = BytesIO()
    Image.fromarray(inspected).save(file, "PNG")
    return file.getvalue()


def small_map(anomaly_map: NDArray[np.float32]) -> bytes:
    """A map (h, w) as a grey PNG file of at most 128 pixels: 0 is black, 2.0 and above white."""
    share = (anomaly_map.clip(LOW, HIGH) - LOW) / (HIGH - LOW)  # (h, w) in 0..1
    picture = Image.fromarray(np.rint(share * 255).astype(np.uint8))
    picture.thumbnail((MAP_SIDE, MAP_SIDE))
    file = BytesIO()
    picture.save(file, "PNG", compress_level=1)  # a third of the time, and a fifth more bytes
    return file.getvalue()
