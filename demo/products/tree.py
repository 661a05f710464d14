"""Procedural data sets in the folders of an MVTec-style tree, and the sample pictures."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from demo.products import PRODUCTS, render_defective, render_normal

SAMPLES = (
    ("ring", None),
    ("ring", "chip"),
    ("cloth", None),
    ("cloth", "hole"),
    ("board", None),
    ("board", "missing-component"),
    ("blister", None),
    ("blister", "missing-tablet"),
    ("metal", "scratch"),
    ("nut", "rust"),
    ("tile", "crack"),
    ("wood", "knot"),
)


def write_tree(
    root: Path,
    *,
    train: int,
    test_good: int,
    test_defective: int,
    seed: int,
    size: int,
    products: Sequence[str] = tuple(PRODUCTS),
) -> int:
    """Write so many pictures of each product below `root` and return how many there are.

    `<product>/train/good`, `<product>/test/good`, `<product>/test/<defect>` hold JPEG,
    `<product>/ground_truth/<defect>` the masks as PNG of the same stem. A picture depends on
    `seed`, `size`, product, split and its number alone: a larger set extends a smaller one.
    """
    for product in products:
        for split, count in (("train", train), ("test", test_good)):
            for index in range(count):
                image = render_normal(product, generator(seed, product, split, index), size)
                save(image, root / product / split / "good" / f"{index:04}.jpg")
        for index in range(test_defective):
            rng = generator(seed, product, "defective", index)
            image, mask, defect = render_defective(product, rng, size)
            save(image, root / product / "test" / defect / f"{index:04}.jpg")
            save(mask, root / product / "ground_truth" / defect / f"{index:04}.png")
    return len(products) * (train + test_good + test_defective)


def write_samples(folder: Path, *, seed: int, size: int) -> list[Path]:
    """Write the sample pictures, `<product>-<defect>.jpg`, and return their paths."""
    written = []
    for product, defect in SAMPLES:
        rng = generator(seed, product, "sample", 0)
        kind = PRODUCTS[product]
        image = kind.defective(rng, size, defect)[0] if defect else kind.normal(rng, size)
        written.append(folder / f"{product}-{defect or 'normal'}.jpg")
        save(image, written[-1])
    return written


def generator(seed: int, product: str, split: str, index: int) -> np.random.Generator:
    """The generator of one picture."""
    return np.random.default_rng([seed, zlib.crc32(f"{product}/{split}".encode()), index])


def save(pixels: np.ndarray, path: Path) -> None:
    """Write an image (S, S, 3) as JPEG of high quality or a mask (S, S) as PNG, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95, subsampling=0)
