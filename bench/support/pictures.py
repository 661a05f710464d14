"""Pictures of a size and a format, with as much detail as a photograph."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "board-normal.jpg"
SIDES = {0.25: (500, 500), 1: (1000, 1000), 4: (2000, 2000), 12: (4000, 3000)}  # by megapixels
KINDS = {
    "JPEG": ("JPEG", "RGB"),
    "grey JPEG": ("JPEG", "L"),
    "PNG": ("PNG", "RGB"),
    "grey PNG": ("PNG", "L"),
}

BOUNDARY = b"------------------------Jh3rAQb9pZ0cW7dKx2mT5u"  # as long as that of curl


def picture(megapixels: float = 1, kind: str = "JPEG") -> bytes:
    """An encoded picture; `kind` is one of KINDS."""
    width, height = SIDES[megapixels]
    encoding, mode = KINDS[kind]
    sample = Image.open(SAMPLE).resize((width, height))
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    pixels = (np.asarray(sample, float) + grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    options = {"quality": 90} if encoding == "JPEG" else {}
    Image.fromarray(pixels).convert(mode).save(file, encoding, **options)
    return file.getvalue()


def form(data: bytes, count: int = 1) -> tuple[bytes, str]:
    """The body of a form with a picture `count` times as its field `image`; its content type."""
    head = b'Content-Disposition: form-data; name="image"; filename="a"\r\n'
    kind = b"jpeg" if data.startswith(b"\xff\xd8") else b"png"
    line = b"--" + BOUNDARY
    parts = [line, b"\r\n", head, b"Content-Type: image/", kind, b"\r\n\r\n", data, b"\r\n"]
    body = b"".join([*parts * count, line, b"--\r\n"])
    return body, f"multipart/form-data; boundary={BOUNDARY.decode()}"
