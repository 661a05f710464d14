"""A page for people, in one file that needs no other: a template filled in, all names escaped."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onegauge.library.likeness import Array
from onegauge.training.report.scale import overlay
from onegauge.training.report.templates import templates_of

FOLDER = Path(__file__).parent
SIDE = 192  # pixels of a picture
QUALITY = 80  # of its JPEG: about 6 kB


def write_page(file: Path, page: object) -> Path:
    """Fill in the template of the file's name; raises OSError where it cannot be written."""
    text = templates_of(FOLDER).get_template(file.name).render(page=page)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", errors="replace")
    return file


def shown(pixels: NDArray[np.uint8]) -> str:
    """An image uint8 (H, W, 3) as a data URI."""
    return _data_uri(_small(Image.fromarray(pixels)))


def shown_under(anomaly_map: Array, picture: bytes) -> tuple[str, str]:
    """A picture, a JPEG file, as it is and under its calibrated map (h, w): data URIs."""
    small = _small(Image.open(BytesIO(picture)).convert("RGB"))
    return _data_uri(small), _data_uri(overlay(small, anomaly_map))


def shown_file(picture: bytes) -> str:
    """A JPEG file as a data URI."""
    return f"data:image/jpeg;base64,{b64encode(picture).decode()}"


def _small(picture: Image.Image) -> Image.Image:
    return picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _data_uri(picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return shown_file(file.getvalue())
