"""Small pictures of normal images, as the gauge sees them, for people to look at."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96  # pixels
QUALITY = 75  # of the JPEG: 2 to 3 kB a picture


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """An image uint8 (H, W, 3) as a small JPEG file."""
    file = BytesIO()
    picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
