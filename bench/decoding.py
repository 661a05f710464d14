"""What decoding and resizing costs beside Pillow's full decoding with the same resizing.

    python -m bench.decoding

Time of the CPU, in turns, of the kinds of picture of `bench.formats`.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from bench.formats import PICTURES, decoding
from bench.support.figures import keep
from bench.support.pictures import picture


def main() -> None:
    """Measure, print, keep the figures."""
    found = measure()
    for label, row in found.items():
        sys.stdout.write(f"{label:14} {row['ms']:6.1f} ms, {row['of_full']:.3f} of the full\n")
    keep("decoding", found)


def measure() -> dict[str, dict[str, Any]]:
    """Milliseconds, and the ratio to Pillow's, by kind of picture."""
    found = {}
    for megapixels, kind in PICTURES:
        ours, full = decoding(picture(megapixels, kind))
        found[f"{megapixels:g} MP {kind}"] = {
            "ms": round(ours, 2),
            "of_full": round(ours / full, 3),
        }
    return found


if __name__ == "__main__":
    typer.run(main)
