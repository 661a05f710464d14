"""Command line of the procedural products.

python -m demo.products --out data/procedural --train 60 --test-good 30 --test-defective 30
python -m demo.products --samples docs/samples
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from demo.products import PRODUCTS
from demo.products.tree import write_samples, write_tree
from onegauge.training.progress import Progress

SAMPLE_SEED = 1_000_003  # far from the small seeds that data sets are made with


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a data set, or the sample pictures."""
    options = parser().parse_args(arguments)
    progress = Progress()
    if options.samples:
        written = write_samples(options.samples, seed=SAMPLE_SEED, size=options.size)
        progress.say(f"wrote {len(written)} sample images to {options.samples}")
        return
    total = 0
    with progress.step("render", len(PRODUCTS)) as step:
        for product in PRODUCTS:
            step.advance(0, product)
            total += write_tree(
                options.out,
                train=options.train,
                test_good=options.test_good,
                test_defective=options.test_defective,
                seed=options.seed,
                size=options.size,
                products=[product],
            )
            step.advance()
    progress.say(f"wrote {total} images of {len(PRODUCTS)} products to {options.out}")


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m demo.products", description=__doc__)
    target = options.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, help="folder of the data set")
    target.add_argument("--samples", type=Path, help="folder of the sample images")
    options.add_argument("--train", type=int, default=60, help="training images of a product")
    options.add_argument("--test-good", type=int, default=30, help="normal test images")
    options.add_argument("--test-defective", type=int, default=30, help="defective test images")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    return options


if __name__ == "__main__":
    main()
