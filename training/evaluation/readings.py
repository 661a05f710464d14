"""What a gauge says of labelled images, wherever it was asked: the ground of every figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.tiles import Box, Mosaic, Tiling
from onegauge.training.data.dataset import Picture, TestImage, Unreadable, readable
from onegauge.training.progress import Progress

BATCH = 16
MAP_SIDE = 256  # of the maps of pictures that are cut


@dataclass(frozen=True)
class Inspected:
    """N labelled images and their calibrated readings, as `gauge.Reading` names them."""

    images: tuple[TestImage, ...]
    score: np.ndarray  # (N,) calibrated, anomalous from 1.0 on
    p_value: np.ndarray  # (N,)
    raw_score: np.ndarray  # (N,) before alignment
    novelty: np.ndarray  # (N,) unknown product from 1.0 on
    maps: np.ndarray  # (N, h, w) fp16, in the unit of the score
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
    card: Mapping[str, str]  # where it comes from, row by row
    inspected: Inspected


def read_images(
    images: Sequence[TestImage],
    size: int,
    tiling: Tiling | None,
    depth: Depth,
    progress: Progress,
) -> Iterator[tuple[list[TestImage], list[Picture]]]:
    """Batches of images, tiles of (size, size) pixels where they are cut; unreadable are named."""
    count = BATCH if tiling is None else 1
    with progress.step("inspecting", len(images)) as step:
        for start in range(0, len(images), count):
            batch = images[start : start + count]
            read = readable([image.path for image in batch], size, tiling, depth)
            good = []
            for image, (_, picture) in zip(batch, read, strict=True):
                if isinstance(picture, Unreadable):
                    progress.say(f"warning: skipped {picture.path}: {picture.reason}")
                else:
                    good.append((image, picture))
            if good:
                yield [image for image, _ in good], [picture for _, picture in good]
            step.advance(len(batch))


@dataclass(frozen=True)
class Layout:
    """Where the tiles of a picture lie."""

    width: int
    height: int
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, picture: Picture) -> Layout:
        """Without its pixels."""
        return cls(picture.width, picture.height, picture.boxes)


def whole_pictures(
    images: Sequence[TestImage],
    readings: Mapping[str, np.ndarray],
    layouts: Sequence[Layout],
    tiling: Tiling | None,
    depth: Depth,
) -> Inspected:
    """Readings (R,) and maps (R, h, w) of all tiles, joined to those of pictures as a gateway does.

    Maps of pictures that are cut are brought to one size.
    """
    if tiling is None:
        maps = readings["maps"].astype(np.float16)
        return Inspected(tuple(images), **{**readings, "maps": maps}, depth=depth)
    joined: dict[str, list[np.ndarray]] = {name: [] for name in readings}
    ends = np.cumsum([len(layout.boxes) for layout in layouts])
    for layout, end in zip(layouts, ends, strict=True):
        rows = slice(end - len(layout.boxes), end)
        worst = rows.start + int(readings["score"][rows].argmax())
        joined["score"].append(readings["score"][worst])
        joined["raw_score"].append(readings["raw_score"][worst])
        joined["p_value"].append(readings["p_value"][rows].min())
        joined["novelty"].append(readings["novelty"][rows].max())
        joined["maps"].append(_mosaic(layout, readings["maps"][rows], tiling))
    columns = {name: np.stack(values) for name, values in joined.items()}
    return Inspected(tuple(images), **columns, depth=depth)


def _mosaic(layout: Layout, maps: np.ndarray, tiling: Tiling) -> np.ndarray:
    """The map of a picture from those of its tiles (T, h, w): fp16 (MAP_SIDE, MAP_SIDE)."""
    mosaic = Mosaic(layout.width, layout.height, tiling, maps.shape[1:])
    for box, anomaly_map in zip(layout.boxes, maps, strict=True):
        mosaic.add(box, anomaly_map.astype(np.float32))
    whole = torch.from_numpy(mosaic.blended())[None, None]
    side = (MAP_SIDE, MAP_SIDE)
    return F.interpolate(whole, side, mode="bilinear", antialias=True)[0, 0].half().numpy()
