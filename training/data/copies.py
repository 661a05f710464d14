"""Copies of an image, and near-copies: one part again, a little shifted, in other light and noise.

The detail of a part, its grain, its pose and its dirt, comes back in another shot of it, and in no
other part. So two images are compared by what their spectra have in common wherever either stands
out from noise, whatever its strength: phase correlation (Kuglin and Hines, 1975), which light does
not change and a shift only moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onegauge.library.likeness import AT_A_TIME, Array, Rows, distances, lowest
from onegauge.training.data.dataset import Picture
from onegauge.training.errors import DataError
from onegauge.training.groups import numbered
from onegauge.training.progress import Progress

SIDE = 128  # pixels of a print
CELLS, SAME = 16, 1.0  # along a side of a print; grey levels by which their means may differ
BAND = 0.5  # of the frequencies, around which their weight falls off
COARSEST = 2  # waves along a side that still are lighting, not detail
COARSE = 16  # waves along a side, by whose strengths prints look alike
LOOKALIKES = 64  # images that each is compared with
COMPARED = 4096  # pairs at a time
TRANSFORMED = 8  # spectra at a time, as more would not fit the processor's cache
SHOTS = 10  # of one part at most that are told from a product whose parts are all alike
ALIKE = 0.8  # least correlation of near-copies
EQUAL = 0.97  # above it what differs is noise
ABOVE, LEFT = np.array([0, -1, 1, 0, 0]), np.array([0, 0, 0, -1, 1])  # of a pixel and those beside
APART = 0.3  # how far below, in atanh of the correlation, all other images are

Prints = NDArray[np.uint8]
Spectra = NDArray[np.complex64]
Links = NDArray[np.int64]  # (2, L)


class Originals:
    """The pictures whose pixels none before had, and the copies of these, which are left out."""

    def __init__(self) -> None:
        self.copies: list[tuple[Path, Path]] = []  # each and what it is a copy of
        self._first: dict[bytes, Path] = {}

    def add(self, path: Path, pixels: bytes) -> bool:
        """Whether the file, with pixels of such a digest, is an original."""
        first = self._first.setdefault(pixels, path)
        if first != path:
            self.copies.append((path, first))
        return first == path

    def tell(self, total: int, progress: Progress) -> None:
        """Say how many of all files are copies."""
        if self.copies:
            copy, first = self.copies[0]
            progress.say(
                f"{len(self.copies)} of {total} files are copies of others and are left out, "
                f"first {copy}, which has the pixels of {first}"
            )


def print_of(picture: Picture) -> Prints:
    """A picture as a whole in grey, however it is cut: uint8 (s, s), s at most SIDE."""
    side = min(SIDE, picture.pixels.shape[1])
    whole = np.zeros((side, side), np.uint8)
    for pixels, tile in zip(picture.pixels, picture.tiles, strict=True):
        rows = _scaled(tile.top, tile.height, picture.height, side)
        columns = _scaled(tile.left, tile.width, picture.width, side)
        red, green, blue = np.moveaxis(pixels, 2, 0)  # whose sum is much quicker than their mean
        grey = red.astype(np.int32) + green + blue  # (H, W), three times too light
        cells = _means(grey, rows.stop - rows.start, columns.stop - columns.start)
        whole[rows, columns] = (cells / 3).round()
    return whole


def _scaled(start: int, length: int, whole: int, side: int) -> slice:
    """Where a part of a whole lies on a print."""
    first = min(start * side // whole, side - 1)
    return slice(first, max((start + length) * side // whole, first + 1))


def _means(values: NDArray[np.int32], height: int, width: int) -> NDArray[np.float64]:
    """The means of integers (H, W) over cells (height, width), which share pixels at their ends."""
    for cells in (height, width):
        edges = np.arange(cells + 1) * len(values)
        first, last = edges[:-1] // cells, -(-edges[1:] // cells)
        sums = np.concatenate([values[:1] * 0, values.cumsum(0, dtype=values.dtype)])
        values = ((sums[last] - sums[first]) / (last - first)[:, None]).T
    return values


def looks_of(prints: Prints) -> Array:
    """How prints (N, s, s) look, (N, E): the logarithms of the strengths of their coarse waves.

    A shift changes none of these, and light all of a print alike.
    """
    strengths = [np.log1p(np.abs(_spectrum(print_)[:, :COARSE])) for print_ in prints]
    return np.stack([np.concatenate([s[:COARSE], s[-COARSE:]]).ravel() for s in strengths])


def require_difference(prints: Prints) -> None:
    """Raise DataError where nothing but noise tells pictures apart by their prints (N, s, s)."""
    cells = np.stack([_means(one.astype(np.int32), CELLS, CELLS) for one in prints])
    if len(prints) > 1 and float(np.ptp(cells, axis=0).max()) <= SAME:
        raise DataError(
            f"the {len(prints)} different images show the same: nowhere do they differ by more "
            f"than {SAME:g} of 255 grey levels; look at them, and train on images of many parts"
        )


def near_copies(prints: Prints, looks: Array, progress: Progress) -> Rows:
    """The part (N,) of each picture by its print uint8 (N, s, s); most are alone in theirs.

    Each is compared with those that look most like it by `looks` (N, E). What is alike by far more
    than anything else is one part, if both say so: where parts differ no more than their shots do,
    or there are more than SHOTS, they stay apart. Rather miss copies than join parts, but say that
    they may be some.
    """
    search = Search(prints, looks, progress, progress.workers.map)
    links = search.links()
    search.warn()
    return numbered(parts_of(np.arange(len(prints)), links).tolist())


def parts_of(parts: Rows, links: Links, known: int = 0) -> Rows:
    """The parts (N,) once what is linked is one part, if that is SHOTS pictures at most.

    The first pictures, so many as are `known`, keep theirs. A new one that is linked to several of
    these parts is of the first.
    """
    joined = _joined(parts, links)
    joined[:known] = parts[:known]
    crowded = np.bincount(joined)[joined] > SHOTS
    return np.where(crowded, parts, joined)


class Search:
    """The search for near-copies among N pictures, computed by whoever maps chunks."""

    def __init__(
        self,
        prints: Prints,
        looks: Array,
        progress: Progress,
        compute: Callable[[Callable[[_Pairs], Array], Iterable[_Pairs]], Iterator[Array]] = map,
    ) -> None:
        """By prints uint8 (N, s, s), of those whose `looks` (N, E) are nearest."""
        self._prints, self._progress, self._compute = prints, progress, compute
        self._others = _lookalikes(looks)  # (N, k)
        self._crowd = 0

    def links(self, known: int = 0) -> Links:
        """The links (2, L) between near-copies, but for those among the first that are `known`."""
        count = len(self._prints)
        if count < 3:
            return np.zeros((2, 0), np.int64)
        new = np.arange(known, count)
        alike = self._alike(new)
        self._crowd = int(((alike >= ALIKE).sum(1) >= SHOTS).sum())
        said = self._said(new, alike)
        asked = np.unique(said[1][said[1] < known])
        if len(asked):
            said = np.concatenate([said, self._said(asked, self._alike(asked))], axis=1)
        mutual = np.isin(said[0] * count + said[1], said[1] * count + said[0])
        return said[:, mutual & (said >= known).any(0)]

    def warn(self) -> None:
        """Say of how many pictures more others are alike than can be shots of one part."""
        if self._crowd:
            self._progress.say(
                f"warning: {self._crowd} images are each as like {SHOTS} others or more as shots "
                "of one part are, and count as different parts: if they are shots, the false-alarm "
                "rate does not hold for new parts, so tell the part by --group-by"
            )

    def _said(self, rows: Rows, alike: Array) -> Links:
        """Links (2, L) from some pictures to those of their others (R, k) that stand out."""
        stands_out = _stand_out(alike)
        one = np.broadcast_to(rows[:, None], alike.shape)
        return np.stack([one[stands_out], self._others[rows][stands_out]])

    def _alike(self, rows: Rows) -> Array:
        """The correlations (R, k) of some pictures with the others that look like them."""
        others, count = self._others[rows], len(self._prints)
        one = np.broadcast_to(rows[:, None], others.shape)
        pairs, places = np.unique(
            np.minimum(one, others) * count + np.maximum(one, others), return_inverse=True
        )  # each pair once, though both may ask for it
        found = []
        with self._progress.step("near-copies", len(pairs)) as step:
            for some in self._compute(_correlations, self._chunks(np.divmod(pairs, count))):
                found.append(some)
                step.advance(len(some))
        return np.concatenate(found)[places.reshape(others.shape)]

    def _chunks(self, pairs: tuple[Rows, Rows]) -> Iterator[_Pairs]:
        """Some pairs at a time, with the prints that these need."""
        for start in range(0, len(pairs[0]), COMPARED):
            some = np.stack(pairs)[:, start : start + COMPARED]
            needed, places = np.unique(some, return_inverse=True)
            yield _Pairs(self._prints[needed], *places.reshape(some.shape))


class _Pairs(NamedTuple):
    """Prints uint8 (n, s, s), and which of them are compared: (P,) with (P,)."""

    prints: Prints
    one: Rows
    other: Rows


def _lookalikes(looks: Array) -> Rows:
    """What looks most like each of N pictures, the most alike first: (N, k)."""
    count, found = min(LOOKALIKES, len(looks) - 1), []
    for start in range(0, len(looks), AT_A_TIME):
        near, _ = lowest(distances(looks[start : start + AT_A_TIME], looks), count + 1)
        found += [those[those != start + row][:count] for row, those in enumerate(near)]
    return np.stack(found)


def _correlations(pairs: _Pairs) -> Array:
    """The highest correlation (P,), over all shifts, of the pictures of each pair.

    Between pixels it is that of a parabola through the logarithms at and beside the highest pixel.
    """
    details, side, found = _details(pairs.prints), pairs.prints.shape[-1], []
    for start in range(0, len(pairs.one), TRANSFORMED):
        some = slice(start, start + TRANSFORMED)
        found.append(_peaks(details[pairs.one[some]], details[pairs.other[some]], side))
    at, *beside = np.concatenate(found).clip(min=1e-6).T
    log = np.log(at)
    for pair in (beside[:2], beside[2:]):
        before, after = (np.log((value / at).clip(0.1, 1)) for value in pair)  # below the peak
        log = log - (after - before) ** 2 / (8 * (after + before).clip(max=-1e-3))
    return np.exp(log).clip(max=1)


def _waves(side: int) -> tuple[Rows, Rows]:
    """The frequencies along y (Y,), from 0 on, and, as images are real, half of them along x."""
    most = int(1.5 * BAND * side / 2)
    return np.r_[0 : most + 1, -most:0], np.arange(most + 1)


def _details(prints: Prints) -> Spectra:
    """Spectra (N, Y, X) of prints (N, s, s) of unit length, strong and weak waves alike.

    What is no stronger than the finest waves, which are noise, hardly counts.
    """
    side = prints.shape[-1]
    y, x = _waves(side)
    distance = np.hypot(y[:, None], x)
    weight = np.exp(-((distance / (BAND * side / 2)) ** 2)) * (distance > COARSEST)
    weight = weight * np.sqrt(np.where(x > 0, 2.0, 1.0))  # (Y, X), the other half of x with it
    finest = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) > 0.4
    details = np.empty((len(prints), len(y), len(x)), np.complex64)
    for row, print_ in enumerate(prints):
        spectrum = _spectrum(print_)
        noise = 4 * np.square(np.abs(spectrum[finest])).mean()
        spectrum = spectrum[y][:, x]
        strength = np.abs(spectrum)
        even = spectrum * (weight * strength / (strength**2 + noise).clip(min=1e-9))
        details[row] = even / np.linalg.norm(even).clip(min=1e-9)
    return details


def _spectrum(print_: Prints) -> Spectra:
    """The spectrum (s, s // 2 + 1) of a print (s, s), without its mean, that fades to its sides."""
    light, fades = print_.astype(np.float32), np.hanning(len(print_)).astype(np.float32)
    return np.fft.rfft2((light - light.mean()) * fades * fades[:, None])


def _peaks(ones: Spectra, others: Spectra, side: int) -> Array:
    """What n pairs of spectra (n, Y, X) have in common where that is highest, and beside: (n, 5).

    Beside is above, below, left and right of it.
    """
    up = ones.shape[2]  # of the frequencies along y, from 0 on; the others are below
    common = np.zeros((len(ones), side, up), np.complex64)
    np.multiply(ones[:, :up].conj(), others[:, :up], out=common[:, :up])
    np.multiply(ones[:, up:].conj(), others[:, up:], out=common[:, 1 - up :])
    common[:, :, 1:] *= np.float32(0.5)  # of both halves
    columns = np.fft.ifft(common, axis=1, norm="forward")  # few of which there are
    shifted = np.fft.irfft(columns, n=side, norm="forward").reshape(len(ones), -1)  # (n, s·s)
    peak = shifted.argmax(1)[:, None]
    top, left = (peak // side + ABOVE) % side, (peak % side + LEFT) % side
    return np.take_along_axis(shifted, top * side + left, 1).astype(np.float32)


def _stand_out(alike: Array) -> NDArray[np.bool_]:
    """Which of the correlations (R, k) are above a gap that no two parts leave: bool (R, k)."""
    order = (-alike).argsort(1, kind="stable")
    ordered = np.take_along_axis(alike, order, 1)
    steps = -np.diff(np.arctanh(ordered.clip(-EQUAL, EQUAL)))[:, : SHOTS - 1]
    steps = np.where(ordered[:, : steps.shape[1]] >= ALIKE, steps, 0)
    above = np.where(steps.max(1) >= APART, 1 + steps.argmax(1), 0)
    return order.argsort(1) < above[:, None]


def _joined(parts: Rows, links: Links) -> Rows:
    """The lowest of the parts (N,) of all that are linked, directly or by others."""
    while True:
        joined = parts.copy()
        np.minimum.at(joined, links[0], parts[links[1]])
        if (joined == parts).all():
            return joined
        parts = joined
