"""A folder of images, read exactly as the gateway reads an upload."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from service.errors import ImageError
from service.image import read_image
from training.errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
SPLITS = {"train", "test"}
NOT_FOR_TRAINING = {"test", "ground_truth"}  # of an MVTec-style tree
MAX_PIXELS = 200_000_000  # a file of one's own may be larger than an upload
MAX_UNREADABLE = 0.05


@dataclass(frozen=True)
class TestImage:
    """An image to evaluate on: normal when it lies in a folder named `good`."""

    path: Path
    product: str
    anomalous: bool


def training_images(root: Path) -> list[Path]:
    """Every image below `root` in sorted order, without `test/` and `ground_truth/` folders.

    Raises DataError when the folder does not exist or holds no image.
    """
    paths = [p for p in _images(root) if not NOT_FOR_TRAINING & set(p.relative_to(root).parts[:-1])]
    if not paths:
        raise DataError(
            f"no images in {root}: expected {', '.join(sorted(SUFFIXES))} files, flat or nested, "
            "outside of test/ and ground_truth/"
        )
    return paths


def test_images(root: Path) -> list[TestImage]:
    """The `<product>/test/<good or a defect>/` images of an MVTec-style tree, or of one product.

    Raises DataError when there are none.
    """
    found = []
    for path in _images(root):
        parts = path.relative_to(root).parts
        if len(parts) >= 3 and parts[-3] == "test":
            anomalous = parts[-2] != "good"
            found.append(TestImage(path, product_of(path, root), anomalous))
    if not found:
        raise DataError(f"no test images in {root}: expected <product>/test/<good or defect>/*")
    return found


def product_of(path: Path, root: Path) -> str:
    """The folders above `train` or `test`, without those the first folder below `root`.

    The root's own name where there is none. Class-aware alignment and evaluation use it alone.
    """
    folders = path.relative_to(root).parts[:-1]
    above = next((folders[:i] for i, f in enumerate(folders) if f in SPLITS), folders[:1])
    return "/".join(above) or root.resolve().name


def digest(paths: Sequence[Path], root: Path) -> str:
    """SHA-256 over names and contents: tells which data a model has seen."""
    total = sha256()
    for path in paths:
        total.update(os.fsencode(path.relative_to(root)))
        total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _images(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


@dataclass(frozen=True)
class Unreadable:
    """A file that is not an image that we can read, and why."""

    path: Path
    reason: str


def pixels_of(path: Path, size: int) -> np.ndarray:
    """RGB uint8 (size, size, 3) of a file; raises ImageError or OSError."""
    return read_image(path.read_bytes(), (size, size), max_pixels=MAX_PIXELS).pixels


def readable(paths: Sequence[Path], size: int) -> Iterator[tuple[Path, np.ndarray | Unreadable]]:
    """Each file with its pixels (size, size, 3) or with why it has none; decoded in threads."""

    def read(path: Path) -> np.ndarray | Unreadable:
        try:
            return pixels_of(path, size)
        except (ImageError, OSError) as exc:
            return Unreadable(path, str(exc))

    with ThreadPoolExecutor() as pool:
        yield from zip(paths, pool.map(read, paths), strict=True)
