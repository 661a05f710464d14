"""Which new pictures are shots of one part: near-copies of each other, or of references.

New ones are compared with each other by their prints, as in training. Pictures of references are
not kept, so all are compared by their thumbnails, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from onegauge.library.library import Library, Origin
from onegauge.library.likeness import Rows
from onegauge.service.imaging.tiles import Tile, Tiling
from onegauge.training.data.copies import Links, Prints, Search, looks_of, parts_of, print_of
from onegauge.training.data.dataset import Picture
from onegauge.training.groups import numbered
from onegauge.training.progress import Progress


@dataclass(frozen=True)
class Shots:
    """The R images of some pictures, whole ones or tiles, as a library keeps them."""

    thumbnails: Sequence[bytes]  # (R,)
    pictures: Rows  # (R,) that each is, or is a tile of
    origins: Sequence[Origin]  # of the pictures

    def whole(self, tiling: Tiling | None) -> list[int]:
        """The pictures of which all tiles are there."""
        numbers, counts = np.unique(self.pictures, return_counts=True)
        there = zip(numbers.tolist(), counts.tolist(), strict=True)
        return [number for number, count in there if count == len(self._tiles(number, tiling))]

    def prints(self, numbers: Sequence[int], tiling: Tiling | None) -> list[Prints]:
        """The prints (s, s) of some pictures."""
        found = []
        for number in numbers:
            origin, rows = self.origins[number], np.flatnonzero(self.pictures == number)
            pixels = np.stack([_pixels(self.thumbnails[row]) for row in rows.tolist()])
            tiles = self._tiles(number, tiling)
            found.append(
                print_of(Picture(pixels, origin.width, origin.height, tiles, origin.digest))
            )
        return found

    def _tiles(self, number: int, tiling: Tiling | None) -> tuple[Tile, ...]:
        sides = self.origins[number].width, self.origins[number].height
        return (Tile(0, 0, *sides),) if tiling is None else tuple(tiling.tiles(*sides))


def shown_parts(
    library: Library | None, new: Shots, prints: Prints, tiling: Tiling | None, progress: Progress
) -> Rows:
    """The part (Q,) that each new picture shows: one of the library's, or a new one above these.

    `prints` (Q, s, s) are those of the new pictures. Says how many are near-copies.
    """
    free, among = first_free(library), Search(prints, looks_of(prints), progress)
    told, links = np.zeros(0, np.int64), among.links()
    if library is not None:
        told, beside = _beside(library, new, tiling, progress)
        links = np.concatenate([len(told) + links, beside], axis=1)
    among.warn()
    before = np.concatenate([told, free + np.arange(len(prints))])
    parts = parts_of(before, links, len(told))[len(told) :]
    parts[parts >= free] = free + numbered(parts[parts >= free].tolist())
    _tell(parts, free, progress)
    return parts


def first_free(library: Library | None) -> int:
    """The first number of a part that is none of the library's."""
    return 0 if library is None else 1 + int(library.parts.max())


def _beside(
    library: Library, new: Shots, tiling: Tiling | None, progress: Progress
) -> tuple[Rows, Links]:
    """The parts (K,) of known pictures, and the links (2, L) of new ones, whose numbers are behind.

    Known are references of which all tiles are there.
    """
    known = Shots(library.thumbnails, library.pictures[library.references], library.origins)
    whole = known.whole(tiling)
    every = range(len(new.origins))
    small = np.stack([*known.prints(whole, tiling), *new.prints(every, tiling)])
    told = dict(zip(library.pictures.tolist(), library.parts.tolist(), strict=True))
    links = Search(small, looks_of(small), progress).links(len(whole))
    return np.array([told[picture] for picture in whole], np.int64), links


def _pixels(thumbnail: bytes) -> Prints:
    return np.asarray(Image.open(BytesIO(thumbnail)).convert("RGB"))


def _tell(parts: Rows, free: int, progress: Progress) -> None:
    """Say how many of the new pictures are near-copies, if any; new parts are from `free` on."""
    _, sizes = np.unique(parts[parts >= free], return_counts=True)
    several, of_known = int(sizes[sizes > 1].sum()), int((parts < free).sum())
    if several or of_known:
        progress.say(
            f"{several} of {len(parts)} images are near-copies of each other, and {of_known} of "
            f"references, as several shots of one part are: they count as {len(sizes)} new parts; "
            "--group-by tells by the names what is of one part"
        )
