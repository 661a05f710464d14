"""A folder of images, read exactly as the gateway reads an upload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from onegauge.cores import cores
from onegauge.files import IMAGE_SUFFIXES
from onegauge.service.errors import ImageError
from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.image import read_image
from onegauge.service.imaging.tiles import Tile, TiledPicture, Tiling
from onegauge.training.choice import NO_CHOICE, Choice
from onegauge.training.data.layouts import LAYOUTS, TestImage, recognise
from onegauge.training.data.masks import MAX_PIXELS, marked, scaled
from onegauge.training.data.selection import Selection
from onegauge.training.errors import DataError

MAX_UNREADABLE = 0.05


def training_selection(root: Path, choice: Choice = NO_CHOICE) -> Selection:
    """What to train on below `root`, by whichever layout it has. Raises DataError."""
    layout = recognise(root)
    expected = f"{', '.join(sorted(IMAGE_SUFFIXES))} files, flat or nested"
    judge = layout.training_judge()
    return Selection.of(layout, judge, choice, wanted="images", expected=expected)


def training_images(root: Path) -> list[Path]:
    """The normal images to train on below `root`, sorted, by whichever layout it has.

    Of a folder that is no data set, every image that no name calls a test, a mask or a defect.
    Raises DataError when the folder does not exist or holds none, or where a choice has to decide.
    """
    return training_selection(root).images()


def labelled_selection(root: Path, choice: Choice) -> tuple[Selection, list[TestImage]]:
    """What to evaluate on below `root`, and its images with their labels. Raises DataError."""
    layout = recognise(root)
    expected = (
        "<product>/test/<good or a defect>/*, or one of "
        f"{', '.join(layout.name for layout in LAYOUTS)} as it is published"
    )
    judge = layout.test_judge()
    selection = Selection.of(layout, judge, choice, wanted="test images", expected=expected)
    found = (layout.test_image(file) for file in selection.taken)
    return selection, [image for image in found if image]


def test_images(root: Path) -> list[TestImage]:
    """The labelled images below `root`, sorted, by whichever layout it has.

    Raises DataError when there are none.
    """
    selection, images = labelled_selection(root, NO_CHOICE)
    selection.images()
    return images


def mask_of(image: TestImage, size: int) -> np.ndarray | None:
    """The anomalous pixels of a test image at the size of a map, bool (size, size).

    All false of a normal image; None of an anomalous one whose place is unknown, as it has no mask
    or its mask marks nothing. Raises DataError where a file cannot be read or the mask does not
    have the size of its image.
    """
    if not image.anomalous:
        return np.zeros((size, size), bool)
    if image.mask is None:
        return None
    marks = marked(image.mask)  # (H, W)
    height, width = _size_of(image.path)
    if marks.shape != (height, width):
        raise DataError(
            f"the mask {image.mask} has {marks.shape[1]} x {marks.shape[0]} pixels, its image "
            f"{image.path} {width} x {height}: both must be the same"
        )
    return scaled(marks, size) if marks.any() else None


def _size_of(path: Path) -> tuple[int, int]:
    """Upright height and width; they need the file decoded, as its orientation may come last."""
    try:
        image = read_image(path.read_bytes(), (8, 8), max_pixels=MAX_PIXELS)
    except (ImageError, OSError) as exc:
        raise DataError(f"the image {path} cannot be read: {exc}") from exc
    return image.height, image.width


@dataclass(frozen=True)
class Unreadable:
    """A file that is not an image that we can read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Picture:
    """A file's tiles RGB uint8 (T, size, size, 3), of which the whole may be the only one."""

    pixels: np.ndarray
    width: int
    height: int
    tiles: tuple[Tile, ...]
    digest: str  # SHA-256 of the file

    def __len__(self) -> int:
        return len(self.pixels)


def picture_of(
    path: Path, size: int, tiling: Tiling | None = None, depth: Depth = UNKNOWN
) -> Picture:
    """Read a file, once; raises ImageError or OSError."""
    return picture_in(path.read_bytes(), size, tiling, depth)


def picture_in(
    data: bytes, size: int, tiling: Tiling | None = None, depth: Depth = UNKNOWN
) -> Picture:
    """The picture that a file of such content is; raises ImageError."""
    digest = sha256(data).hexdigest()
    if tiling is None:
        image = read_image(data, (size, size), max_pixels=MAX_PIXELS, depth=depth)
        whole = (Tile(0, 0, image.width, image.height),)
        return Picture(image.pixels[np.newaxis], image.width, image.height, whole, digest)
    picture = TiledPicture(data, tiling, (size, size), max_pixels=MAX_PIXELS, depth=depth)
    pixels = np.stack([pixels for _, pixels in picture])
    return Picture(pixels, picture.width, picture.height, tuple(picture.tiles), digest)


def readable(
    paths: Sequence[Path], size: int, tiling: Tiling | None = None, depth: Depth = UNKNOWN
) -> Iterator[tuple[Path, Picture | Unreadable]]:
    """Each file as a picture or with why it is none; decoded in threads."""

    def read(path: Path) -> Picture | Unreadable:
        try:
            return picture_of(path, size, tiling, depth)
        except (ImageError, OSError) as exc:
            return Unreadable(path, str(exc))

    with ThreadPoolExecutor(min(32, cores() + 4)) as pool:  # some wait for the disk
        yield from zip(paths, pool.map(read, paths), strict=True)
