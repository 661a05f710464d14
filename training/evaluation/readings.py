"""What a model says of labelled images, wherever it was asked: the ground of every figure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.tiles import Mosaic, Tile, Tiling
from onegauge.training.data.dataset import Picture, TestImage, Unreadable, readable
from onegauge.training.errors import DataError
from onegauge.training.progress import Progress

BATCH = 16  # pictures that are read together
AT_A_TIME = 16  # tiles that a model sees together
MAP_SIDE = 256  # of the maps of pictures that are cut
NAMES = ("score", "p_value", "raw_score", "novelty", "anomaly_map")

Columns = Mapping[str, np.ndarray]
Infer = Callable[[np.ndarray], Columns]  # pixels uint8 (B, H, W, 3) to what they give (B, ...)


@dataclass(frozen=True)
class Readings:
    """N labelled images and their calibrated readings, as `gauge.Reading` names them."""

    images: tuple[TestImage, ...]
    score: np.ndarray  # (N,) calibrated, anomalous from 1.0 on
    p_value: np.ndarray  # (N,)
    raw_score: np.ndarray  # (N,) before alignment
    novelty: np.ndarray  # (N,) unknown product from 1.0 on
    anomaly_map: np.ndarray  # (N, h, w) fp16, in the unit of the score
    depth: Depth = UNKNOWN  # by which files of more than 8 bits were read

    @property
    def products(self) -> tuple[str, ...]:
        """The product of each image."""
        return tuple(image.product for image in self.images)

    @property
    def anomalous(self) -> np.ndarray:
        """Bool (N,)."""
        return np.array([image.anomalous for image in self.images])


@dataclass(frozen=True)
class Subject:
    """What was evaluated, and what it said."""

    name: str  # a run's folder, a model's folder or a gateway's address
    alignment: str
    alpha: float  # the false-alarm rate that it promises at the threshold
    threshold: float  # 1.0, unless whoever runs a gateway moved it
    calibration_images: int | None  # behind its p-values; None: it does not say
    card: Mapping[str, str]  # where it comes from, row by row
    readings: Readings


@dataclass(frozen=True)
class Intake:
    """How a model takes pictures."""

    size: int  # pixels, the side of what it sees
    tiling: Tiling | None
    depth: Depth


@dataclass(frozen=True)
class Cut:
    """How a picture was cut: its size in pixels, and its tiles, of which the whole may be one."""

    width: int
    height: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class TileOutputs:
    """What a model says of the R tiles of labelled images."""

    images: tuple[TestImage, ...]
    cuts: tuple[Cut, ...]  # of each image
    outputs: Columns  # (R, ...)
    milliseconds: float  # for each image, without reading it


def ask(
    images: Sequence[TestImage], intake: Intake, infer: Infer, progress: Progress
) -> TileOutputs:
    """What a model says of the images; unreadable ones are named and left out.

    Raises DataError where none can be read.
    """
    kept: list[TestImage] = []
    cuts: list[Cut] = []
    parts, seconds = [], 0.0
    for batch, pictures in _read(images, intake, progress):
        started = time.perf_counter()
        pixels = np.concatenate([picture.pixels for picture in pictures])
        parts += [infer(pixels[i : i + AT_A_TIME]) for i in range(0, len(pixels), AT_A_TIME)]
        seconds += time.perf_counter() - started
        kept += batch
        cuts += [Cut(picture.width, picture.height, picture.tiles) for picture in pictures]
    if not kept:
        raise DataError(f"none of the {len(images)} test images can be read")
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TileOutputs(tuple(kept), tuple(cuts), outputs, 1000 * seconds / len(kept))


def whole_pictures(
    images: Sequence[TestImage], cuts: Sequence[Cut], outputs: Columns, intake: Intake
) -> Readings:
    """The outputs `NAMES` of all tiles, joined to those of pictures as a gateway does.

    Maps of pictures that are cut are brought to one size.
    """
    whole = {name: outputs[name] for name in NAMES}
    if intake.tiling is not None:
        ends = np.cumsum([len(cut.tiles) for cut in cuts])[:-1]
        tiles = {name: np.split(column, ends) for name, column in whole.items()}
        pictures = [
            _joined(cut, dict(zip(NAMES, parts, strict=True)), intake.tiling)
            for cut, *parts in zip(cuts, *tiles.values(), strict=True)
        ]
        whole = {name: np.concatenate([p[name] for p in pictures]) for name in NAMES}
    whole["anomaly_map"] = whole["anomaly_map"].astype(np.float16)
    return Readings(tuple(images), **whole, depth=intake.depth)


def reduced(anomaly_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map fp32 (H, W) at another size (h, w), fp16."""
    pixels = torch.from_numpy(anomaly_map)[None, None]  # (1, 1, H, W)
    return F.interpolate(pixels, size, mode="bilinear", antialias=True)[0, 0].half().numpy()


def _joined(cut: Cut, outputs: Columns, tiling: Tiling) -> dict[str, np.ndarray]:
    """The outputs (1, ...) of a picture from those of its tiles (T, ...)."""
    height, width = outputs["anomaly_map"].shape[1:]
    mosaic = Mosaic(cut.width, cut.height, tiling, (height, width))
    mosaic.add(cut.tiles, outputs)
    whole = mosaic.whole()
    anomaly_map = reduced(whole["anomaly_map"][0], (MAP_SIDE, MAP_SIDE))
    return whole | {"anomaly_map": anomaly_map[np.newaxis]}


def _read(
    images: Sequence[TestImage], intake: Intake, progress: Progress
) -> Iterator[tuple[list[TestImage], list[Picture]]]:
    """Batches of images and their pictures; unreadable ones are named and left out."""
    count = BATCH if intake.tiling is None else 1
    with progress.step("inspecting", len(images)) as step:
        for start in range(0, len(images), count):
            batch = images[start : start + count]
            paths = [image.path for image in batch]
            good = []
            read = readable(paths, intake.size, intake.tiling, intake.depth)
            for image, (_, picture) in zip(batch, read, strict=True):
                if isinstance(picture, Unreadable):
                    progress.say(f"warning: skipped {picture.path}: {picture.reason}")
                else:
                    good.append((image, picture))
            if good:
                yield [image for image, _ in good], [picture for _, picture in good]
            step.advance(len(batch))
