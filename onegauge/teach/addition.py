"""New normal images → what a library keeps of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onegauge.library.fit import MEMORIES, USUAL, find_embedding, retrieval_constants
from onegauge.library.library import Added, Library, Origin
from onegauge.library.likeness import Rows
from onegauge.library.memories import remembered, usual_at
from onegauge.library.suspicion import ODDEST
from onegauge.library.thumbnails import thumbnail
from onegauge.library.views import Scoring
from onegauge.teach.errors import TeachingError
from onegauge.teach.observer import Constants, Observer, Sight
from onegauge.teach.shots import Shots, first_free, shown_parts
from onegauge.teach.target import Target
from onegauge.training.choice import Choice
from onegauge.training.data.copies import print_of
from onegauge.training.data.dataset import (
    MAX_UNREADABLE,
    Picture,
    Unreadable,
    readable,
    training_selection,
)
from onegauge.training.groups import numbered, parts_by_name
from onegauge.training.progress import Progress

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Q new pictures with their R images, whole ones or tiles."""

    origins: tuple[Origin, ...]  # (Q,)
    products: tuple[str, ...]  # (Q,) from the folders' names
    parts: Rows  # (Q,) told or found: one of the library's, or a new one above these
    images: Images  # (R, H, W, 3)
    thumbnails: tuple[bytes, ...]  # (R,)
    numbers: Rows  # (R,) the picture of each


def read_pictures(
    target: Target, data: Path, group_by: str | None, choice: Choice, progress: Progress
) -> Pictures:
    """What below `data` is normal, by the rules of training, and not in the library yet.

    Raises DataError for a folder that is no good, and TeachingError where nothing is new.
    """
    selection = training_selection(data, choice)
    paths = selection.show()
    told = None
    if group_by is not None:
        told = parts_by_name([str(path.relative_to(data)) for path in paths], group_by)
    found = _new_ones(target, paths, progress)
    if not found:
        raise TeachingError(f"all {len(paths)} images in {data} are in the library already")
    now = int(time.time())
    origins = [
        Origin(str(path.relative_to(data)), p.digest, p.width, p.height, now) for path, p in found
    ]
    images = np.concatenate([picture.pixels for _, picture in found])
    thumbnails = tuple(thumbnail(image) for image in images)
    numbers = np.repeat(np.arange(len(found)), [len(picture) for _, picture in found])
    if told is not None:
        parts = first_free(target.kept) + numbered([told[origin.name] for origin in origins])
    else:
        shots = Shots(thumbnails, numbers, origins)
        prints = np.stack([print_of(picture) for _, picture in found])
        parts = shown_parts(target.kept, shots, prints, target.tiling, progress)
    products = tuple(selection.layout.product_of(path) for path, _ in found)
    return Pictures(tuple(origins), products, parts, images, thumbnails, numbers)


def _new_ones(
    target: Target, paths: Sequence[Path], progress: Progress
) -> list[tuple[Path, Picture]]:
    """The pictures that can be read and are not known, each once."""
    known, seen, bad = target.known, set[bytes](), 0
    found = []
    for path, picture in readable(paths, target.image_size, target.tiling, target.depth):
        if isinstance(picture, Unreadable):
            progress.say(f"warning: skipped {path}: {picture.reason}")
            bad += 1
        elif picture.digest not in known and (pixels := picture.pixels.tobytes()) not in seen:
            seen.add(pixels)
            found.append((path, picture))
    if bad > MAX_UNREADABLE * len(paths):
        raise TeachingError(
            f"{bad} of {len(paths)} images cannot be read, more than {MAX_UNREADABLE:.0%}: is this "
            "the right folder?"
        )
    if skipped := len(paths) - bad - len(found):
        progress.say(f"{skipped} of {len(paths)} images are in the library already")
    return found


def added_rows(pictures: Pictures, sight: Sight) -> Added:
    """The pictures as rows of a library, as far as others have no say."""
    seen, points = sight
    memories, places = remembered(points)
    return Added(
        maps=seen.raw_map.astype(np.float16),  # for its size alone: it is found by `grown`
        deviations=seen.deviations,
        quarters=seen.quarters,
        oddness=np.zeros(len(places), np.float32),
        memories=memories,
        usual=np.ones(places.shape, np.float16),
        places=places.astype(np.int32),
        thumbnails=pictures.thumbnails,
        pictures=pictures.numbers,
        parts=pictures.parts,
        products=pictures.products,
        origins=pictures.origins,
    )


def grown(library: Library, added: Added, images: Images, observer: Observer) -> Library:
    """The library with pictures of the images (R, H, W, 3), each scored as if it were not there.

    What was known is not looked at again: it keeps its maps, and what is usual at its patches.
    """
    larger = library.with_pictures(added)
    new = slice(len(library.maps), None)
    plain = {**_given(larger), USUAL: np.ones_like(larger.usual)}
    maps = observer.maps(images, larger.own[new], plain)
    larger.oddness[len(library) :] = Scoring(ODDEST, library.inspected)(maps.astype(np.float32))
    larger.usual[len(library) :] = usual_at(maps, added.places.astype(np.int64), library.usual)
    larger.maps[new] = observer.maps(images, larger.own[new], _given(larger))
    return larger


def _given(library: Library) -> Constants:
    """What the graph needs for raw maps beside a library."""
    embedding, bank = find_embedding(library)
    patches: Constants = {MEMORIES: library.memories, USUAL: library.usual}
    return {**patches, **retrieval_constants(library, embedding, bank)}
