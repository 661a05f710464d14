"""Copies of an image, and near-copies: one part again, a little shifted, in other light and noise.

The detail of a part, its grain, its pose and its dirt, comes back in another shot of it, and in no
other part. So two images are compared by what their spectra have in common wherever either stands
out from noise, whatever its strength: phase correlation (Kuglin and Hines, 1975), which light does
not change and a shift only moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from onegauge.training.backbones.neighbours import nearest
from onegauge.training.data.dataset import Picture
from onegauge.training.errors import DataError
from onegauge.training.groups import numbered
from onegauge.training.progress import Progress

SIDE = 128  # pixels of a print
CELLS, SAME = 16, 1.0  # along a side of a print; grey levels by which their means may differ
BAND = 0.5  # of the frequencies, around which their weight falls off
COARSEST = 2  # waves along a side that still are lighting, not detail
LOOKALIKES = 64  # images that each is compared with
COMPARED = 64  # images at a time
TRANSFORMED = 8  # spectra at a time, as more would not fit the processor's cache
SHOTS = 10  # of one part at most that are told from a product whose parts are all alike
ALIKE = 0.8  # least correlation of near-copies
EQUAL = 0.97  # above it what differs is noise
ABOVE, LEFT = np.array([0, -1, 1, 0, 0]), np.array([0, 0, 0, -1, 1])  # of a pixel and those beside
APART = 0.3  # how far below, in atanh of the correlation, all other images are


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


def print_of(picture: Picture) -> np.ndarray:
    """A picture as a whole in grey, however it is cut: uint8 (s, s), s at most SIDE."""
    side = min(SIDE, picture.pixels.shape[1])
    whole = np.zeros((side, side), np.uint8)
    for pixels, tile in zip(picture.pixels, picture.tiles, strict=True):
        rows = _scaled(tile.top, tile.height, picture.height, side)
        columns = _scaled(tile.left, tile.width, picture.width, side)
        red, green, blue = np.moveaxis(pixels, 2, 0)  # whose sum is much quicker than their mean
        grey = torch.from_numpy((red.astype(np.float32) + green + blue) / 3)[None]  # (1, H, W)
        size = rows.stop - rows.start, columns.stop - columns.start
        whole[rows, columns] = F.adaptive_avg_pool2d(grey, size)[0].round().byte().numpy()
    return whole


def _scaled(start: int, length: int, whole: int, side: int) -> slice:
    """Where a part of a whole lies on a print."""
    first = min(start * side // whole, side - 1)
    return slice(first, max((start + length) * side // whole, first + 1))


def require_difference(prints: np.ndarray) -> None:
    """Raise DataError where nothing but noise tells pictures apart by their prints (N, s, s)."""
    cells = F.adaptive_avg_pool2d(torch.from_numpy(prints).float(), CELLS)  # (N, CELLS, CELLS)
    if len(prints) > 1 and float((cells.amax(0) - cells.amin(0)).max()) <= SAME:
        raise DataError(
            f"the {len(prints)} different images show the same: nowhere do they differ by more "
            f"than {SAME:g} of 255 grey levels; look at them, and train on images of many parts"
        )


def near_copies(prints: np.ndarray, looks: Tensor, progress: Progress) -> np.ndarray:
    """The part (N,) of each picture by its print uint8 (N, s, s); most are alone in theirs.

    Each is compared with those that look most like it by `looks` (N, E). What is alike by far more
    than anything else is one part, if both say so: where parts differ no more than their shots do,
    or there are more than SHOTS, they stay apart. Rather miss copies than join parts, but say that
    they may be some.
    """
    count = min(LOOKALIKES, len(prints) - 1)
    if count < 2:
        return np.arange(len(prints))
    near = torch.cat([nearest(some, looks, count + 1) for some in looks.split(1024)])
    others = np.stack([those[those != row][:count] for row, those in enumerate(near.numpy())])
    pairs, crowd = [], 0
    with progress.step("near-copies", len(prints)) as step:
        compared = progress.workers.map(_compare, _comparisons(prints, others))
        for row, found in enumerate(chain.from_iterable(compared)):
            pairs += [(row, other) for other in others[row, found.alike].tolist()]
            crowd += found.crowded
            step.advance()
    if crowd:
        progress.say(
            f"warning: {crowd} images are each as like {SHOTS} others or more as shots of one part "
            "are, and count as different parts: if they are shots, the false-alarm rate does not "
            "hold for new parts, so tell the part by --group-by"
        )
    links = {*pairs} & {(other, row) for row, other in pairs}
    ends = np.array(sorted(links), np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (ends[0], ends[1])), shape=(len(prints),) * 2)
    linked = connected_components(graph, directed=False)[1]
    crowded = np.bincount(linked)[linked] > SHOTS
    return numbered([(part, crowded[row] and row) for row, part in enumerate(linked.tolist())])


class _Comparison(NamedTuple):
    """Prints uint8 (n, s, s), and places there: of each that is compared (r,), and with what."""

    prints: np.ndarray
    rows: np.ndarray
    others: np.ndarray  # (r, k)


class _Alike(NamedTuple):
    """Which of the others are alike, and whether more are than can be shots of one part."""

    alike: np.ndarray
    crowded: bool


def _comparisons(prints: np.ndarray, others: np.ndarray) -> Iterator[_Comparison]:
    """Each print (N, s, s) with its others (N, k), some at a time with all that these need."""
    for start in range(0, len(prints), COMPARED):
        rows = np.arange(start, min(start + COMPARED, len(prints)))
        needed, places = np.unique(np.column_stack([rows, others[rows]]), return_inverse=True)
        places = places.reshape(len(rows), -1)
        yield _Comparison(prints[needed], places[:, 0], places[:, 1:])


def _compare(comparison: _Comparison) -> list[_Alike]:
    details, found = _details(torch.from_numpy(comparison.prints)), []
    for row, others in zip(comparison.rows, comparison.others, strict=True):
        alike = _correlations(details[row], details[others], comparison.prints.shape[-1])
        crowded = int((alike >= ALIKE).sum()) >= SHOTS
        found.append(_Alike(_stand_out(alike).numpy(), crowded))
    return found


def _waves(side: int) -> tuple[Tensor, Tensor]:
    """The frequencies along y (Y,) and, as images are real, half of them along x (X,)."""
    most = int(1.5 * BAND * side / 2)
    y = torch.arange(-most, most + 1)
    return y, y[most:]


def _details(prints: Tensor) -> Tensor:
    """Spectra (N, Y, X) of prints (N, s, s) of unit length, strong and weak waves alike.

    What is no stronger than the finest waves, which are noise, hardly counts.
    """
    side = prints.shape[-1]
    y, x = _waves(side)
    fades = torch.hann_window(side, periodic=False)
    distance = torch.hypot(y[:, None].float(), x.float())
    weight = torch.exp(-((distance / (BAND * side / 2)) ** 2)) * (distance > COARSEST)
    weight = weight * torch.where(x > 0, 2.0, 1.0).sqrt()  # (Y, X), the other half of x with it
    finest = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)) > 0.4
    details = []
    for some in prints.split(256):
        light = some.float() - some.float().mean((1, 2), keepdim=True)
        spectrum = torch.fft.rfft2(light * fades * fades[:, None])
        noise = 4 * spectrum.abs().square()[:, finest].mean(1)[:, None, None]
        spectrum = spectrum[:, y][:, :, x]
        power = spectrum.abs().square()
        even = spectrum * weight * power.sqrt() / (power + noise).clamp_min(1e-9)
        length = even.abs().square().sum((1, 2), keepdim=True).sqrt()
        details.append(even / length.clamp_min(1e-9))
    return torch.cat(details)


def _correlations(detail: Tensor, others: Tensor, side: int) -> Tensor:
    """The highest correlation (n,), over all shifts, of a spectrum (Y, X) with others (n, Y, X).

    Between pixels it is that of a parabola through the logarithms at and beside the highest pixel.
    """
    some = others.split(TRANSFORMED)
    at, *beside = torch.cat([_peaks(detail.conj() * other, side) for other in some]).unbind(1)
    log = at.clamp_min(1e-6).log()
    for pair in (beside[:2], beside[2:]):
        before, after = ((value / at).clamp(0.1, 1).log() for value in pair)  # below the peak
        log = log - (after - before).square() / (8 * (after + before).clamp_max(-1e-3))
    return log.exp().clamp_max(1)


def _peaks(spectra: Tensor, side: int) -> Tensor:
    """What has such spectra (n, Y, X) where it is highest, above, below, left and right: (n, 5)."""
    _, x = _waves(side)
    up = len(x)  # of the frequencies along y, from 0 on; the others are below
    common = torch.zeros(len(spectra), side, side // 2 + 1, dtype=spectra.dtype)
    common[:, :up, :up] = spectra[:, up - 1 :]
    common[:, 1 - up :, :up] = spectra[:, : up - 1]
    common[:, :, 1:] /= 2  # of both halves
    shifted = torch.fft.irfft2(common, s=(side, side), norm="forward").numpy()  # (n, s, s)
    peak = shifted.reshape(len(shifted), -1).argmax(1)[:, None]  # torch's takes ten times as long
    top, left = (peak // side + ABOVE) % side, (peak % side + LEFT) % side
    return torch.from_numpy(shifted[np.arange(len(shifted))[:, None], top, left])


def _stand_out(alike: Tensor) -> Tensor:
    """Which of the correlations (n,) are above a gap that no two parts leave: indices."""
    ordered, rows = alike.sort(descending=True)
    steps = -ordered.clamp(-EQUAL, EQUAL).atanh().diff()[: SHOTS - 1]
    steps = torch.where(ordered[: len(steps)] >= ALIKE, steps, 0)
    widest = int(steps.argmax())
    return rows[: widest + 1] if steps[widest] >= APART else rows[:0]
