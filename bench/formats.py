"""Images a second by size and format, and what decoding costs.

    python -m bench.formats

The gateway with 8 connections beside the limit of the machine, and decoding with resizing to 256 x
256 beside Pillow's full decoding with the same resizing, in turns, in time of the CPU.
"""

from __future__ import annotations

import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median

import typer
from PIL import Image

from bench.support.figures import keep, spread
from bench.support.limit import SIZE, limit
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import Served, server
from onegauge.service.imaging.image import read_image

PICTURES = (
    *((megapixels, "JPEG") for megapixels in (0.25, 1, 4, 12)),
    (1, "grey JPEG"),
    *((megapixels, "PNG") for megapixels in (1, 4)),
    (1, "grey PNG"),
)
TURNS = 15


def main(seconds: float = 5, rounds: int = 3) -> None:
    """One line for each kind of picture."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder, server("onegauge", Served()) as running:
        for megapixels, kind in PICTURES:
            image = picture(megapixels, kind)
            ours, full = decoding(image)
            file = Path(folder) / "body"
            body, content_type = form(image)
            file.write_bytes(body)
            rates, ratios = [], []
            for _ in range(rounds):
                most = limit(Served().file, image, seconds)["rate"]
                found = load(
                    f"{running.url}/inspect", file, content_type, seconds, connections=CONNECTIONS
                )
                rates.append(found["rate"])
                ratios.append(found["rate"] / most)
            label = f"{megapixels:g} MP {kind}"
            rows[label] = {
                "images_per_s": median(rates),
                "of_limit": spread(ratios),
                "decode_ms": round(ours, 2),
                "decode_of_full": round(ours / full, 3),
            }
            sys.stdout.write(
                f"{label:14} {median(rates):6.1f} images/s  {median(ratios):.3f} of the limit"
                f"  decoding {ours:6.1f} ms, {ours / full:.2f} of Pillow's full\n"
            )
    keep("formats", rows)


def decoding(image: bytes) -> tuple[float, float]:
    """Milliseconds of decoding and resizing as the gateway does, and as Pillow does in full."""
    ours, full = [], []
    for _ in range(TURNS):
        start = time.thread_time()
        read_image(image, SIZE, max_pixels=10**8)
        middle = time.thread_time()
        Image.open(BytesIO(image)).convert("RGB").resize(SIZE, Image.Resampling.BILINEAR)
        full.append(1000 * (time.thread_time() - middle))
        ours.append(1000 * (middle - start))
    return median(ours), median(full)


if __name__ == "__main__":
    typer.run(main)
