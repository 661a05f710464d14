"""How many bits the images of a folder fill, where their files have 16 and do not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from onegauge.cores import cores
from onegauge.service.errors import ImageError
from onegauge.service.imaging.depth import DEPTHS, UNKNOWN, Depth
from onegauge.service.imaging.image import may_have_samples, read_samples
from onegauge.training.data.masks import MAX_PIXELS
from onegauge.training.progress import Progress

HEAD = 26  # bytes of a file, which tell whether it is worth a look
JUST_ABOVE = 1 / 16  # of a depth's values: rather a few pixels that are wrong than another depth


@dataclass(frozen=True)
class _Look:
    """What one file of more than 8 bits shows."""

    path: Path
    declared: int | None
    highest: int
    used: int  # bits, as `service.imaging.depth.Samples` has them


def depth_of(paths: Sequence[Path], progress: Progress) -> Depth:
    """The smallest depth that holds every pixel; says what it is and what speaks against it.

    Unknown where no file has more than 8 bits: those are told by their heads, and no other file is
    read. Files that cannot be read are passed over.
    """
    candidates = [path for path in paths if _may_be_deep(path)]
    if not candidates:
        return UNKNOWN
    with progress.step("bit depth", len(candidates)) as step, ThreadPoolExecutor(cores()) as pool:
        looks = []
        for look in pool.map(_look, candidates):
            looks += [look] if look else []
            step.advance()
    if not looks:
        return UNKNOWN
    depth = _common(looks)
    highest = max(looks, key=lambda look: look.highest)
    progress.say(
        f"{len(looks)} of {len(paths)} images have more than 8 bits, and {depth.bits} are taken as "
        f"their depth: the highest value is {highest.highest}, in {highest.path}"
    )
    for doubt in _doubts(looks, depth, highest, len(paths)):
        progress.say(f"warning: {doubt}")
    return depth


def _may_be_deep(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            return may_have_samples(file.read(HEAD))
    except OSError:
        return False


def _look(path: Path) -> _Look | None:
    try:
        samples = read_samples(path.read_bytes(), max_pixels=MAX_PIXELS)
    except (ImageError, OSError):
        return None
    if samples is None or samples.declared == DEPTHS[0]:
        return None
    return _Look(path, samples.declared, int(samples.colour.max()), samples.used)


def _common(looks: Sequence[_Look]) -> Depth:
    """Of the files that do not say; of those that do, where all of them do."""
    silent = [look.used for look in looks if look.declared is None]
    if silent:
        return Depth.holding(reduce(or_, silent))
    return Depth(max(look.declared or 0 for look in looks))


def _doubts(looks: Sequence[_Look], depth: Depth, highest: _Look, images: int) -> Iterator[str]:
    bits = depth.bits or DEPTHS[-1]
    if len(looks) < images:
        yield f"the other {images - len(looks)} images have 8 bits or cannot be read"
    alone = Counter(look.declared or Depth.holding(look.used).bits for look in looks)
    if len(alone) > 1:
        found = ", ".join(f"{count} need {own}" for own, count in sorted(alone.items()))
        yield (
            f"of the images of more than 8 bits {found} bits: where they are of cameras that "
            "differ, and not only darker, train on those of one depth"
        )
    below = max((own for own in DEPTHS if own < bits), default=0)
    if 0 <= highest.highest - 2**below < JUST_ABOVE * 2**below:
        yield (
            f"{highest.highest} is just above {below} bits, which end at {2**below - 1}: if that "
            f"is the camera's depth, leave {highest.path} out and train again"
        )
    if bits < DEPTHS[-1] and all(look.used % 16 == 0 for look in looks):
        yield (
            "all values are multiples of 16: if the upper bits are the camera's, these images are "
            "dark, and brighter ones will be refused; train on some as bright as they come"
        )
