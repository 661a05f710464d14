"""A large picture in overlapping tiles of its original resolution, and what is said of them as one.

A tile is one more implicit class: the model sees each as an image of its own. What is held in
memory is a strip of the picture and the tiles that are looked at together, where the decoder can
give strips: of upright 8-bit JPEG and PNG in grey or RGB. Others are decoded whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from onegauge.service.errors import BackendUnavailable, UnreadableImage, for_clients
from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.formats import jpeg, png
from onegauge.service.imaging.image import is_plain, open_image, read_original

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Tiling:
    """Squares of `size` pixels of which neighbours share `overlap` or more."""

    size: int
    overlap: int

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Self | None:
        """As a model's configuration tells it, None for a model of whole pictures."""
        size, overlap = (parameters.get(name, "") for name in ("tile_size", "tile_overlap"))
        return cls(int(size), int(overlap)) if size.isdecimal() and overlap.isdecimal() else None

    def parameters(self) -> dict[str, str]:
        """As a model's configuration tells it."""
        return {"tile_size": str(self.size), "tile_overlap": str(self.overlap)}

    def tiles(self, width: int, height: int) -> list[Tile]:
        """The tiles of a picture, row by row; a shorter side is a tile's whole side."""
        sides = min(self.size, width), min(self.size, height)
        return [
            Tile(left, top, *sides) for top in self._starts(height) for left in self._starts(width)
        ]

    def _starts(self, length: int) -> list[int]:
        """Where tiles begin along a side: evenly, the first and the last at its ends."""
        if length <= self.size:
            return [0]
        steps = ceil((length - self.size) / (self.size - self.overlap))
        return [round(i * (length - self.size) / steps) for i in range(steps + 1)]


class _Source(Protocol):
    """A picture that is read from top to bottom."""

    def rows(self, top: int, bottom: int) -> Pixels:
        """Its rows (bottom - top, W, 3); `top` never goes back."""


class TiledPicture:
    """The tiles of one encoded picture; raises like `service.imaging.image.read_image`."""

    def __init__(
        self,
        data: bytes,
        tiling: Tiling,
        size: tuple[int, int],
        *,
        max_pixels: int,
        depth: Depth = UNKNOWN,
    ) -> None:
        """Read the header; `size` (height, width) is that of the model's input."""
        file = open_image(data, max_pixels)
        self._size = size
        self._source: _Source
        if is_plain(file, data):
            if isinstance(file, JpegImageFile):
                jpeg.check(data)  # the stream would be decided on before it ends
            else:
                png.check(data)
            self.width, self.height = file.size
            self._source = _Stream(data, self.width)
        else:
            self._source = _Whole(read_original(data, max_pixels=max_pixels, depth=depth))
            self.width, self.height = self._source.size
        self.tiles = tiling.tiles(self.width, self.height)

    def __iter__(self) -> Iterator[tuple[Tile, Pixels]]:
        """Each tile with its pixels uint8 (H, W, 3) as the model takes them."""
        height, width = self._size
        strip: Pixels = np.empty((0, self.width, 3), np.uint8)
        top = 0
        for tile in self.tiles:
            if tile.top + tile.height > top + len(strip):
                kept = strip[tile.top - top :]
                more = self._source.rows(tile.top + len(kept), tile.top + tile.height)
                strip, top = np.concatenate([kept, more]), tile.top
            part = np.ascontiguousarray(strip[:, tile.left : tile.left + tile.width])
            resized = Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR)
            yield tile, np.asarray(resized)


class _Whole:
    """A picture that had to be decoded whole."""

    def __init__(self, picture: Image.Image) -> None:
        self._picture = picture
        self.size = picture.size

    def rows(self, top: int, bottom: int) -> Pixels:
        return np.asarray(self._picture.crop((0, top, self._picture.width, bottom)))


class _Stream:
    """A picture that is decoded as far as it is read."""

    def __init__(self, data: bytes, width: int) -> None:
        try:
            import pyvips
        except (ModuleNotFoundError, OSError) as exc:
            raise BackendUnavailable(
                "A model of tiles needs pyvips: pip install 'onegauge[tiles]'"
            ) from exc
        self._error = pyvips.Error
        self._width = width
        with self._errors():
            image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
            self._bands = image.bands
            self._region = pyvips.Region.new(image)  # one thread, that reads in order

    def rows(self, top: int, bottom: int) -> Pixels:
        with self._errors():
            fetched = self._region.fetch(0, top, self._width, bottom - top)
        pixels = np.frombuffer(fetched, np.uint8).reshape(bottom - top, self._width, self._bands)
        return pixels.repeat(3 // self._bands, axis=2)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._error as exc:
            raise UnreadableImage(f"The image is truncated or corrupt: {for_clients(exc)}") from exc


class Mosaic:
    """What a model says of a picture's tiles, as if it had seen the picture whole.

    The score is the highest of the tiles, which the calibration has been made for, as are the
    p-value and the novelty; what else there is explains that score. Maps are blended where tiles
    overlap.
    """

    def __init__(self, width: int, height: int, tiling: Tiling, sides: tuple[int, int]) -> None:
        """Of a picture's size in pixels; `sides` (h, w) are those of a tile's map."""
        self._scale = sides[0] / tiling.size, sides[1] / tiling.size  # map to picture: y, x
        shape = max(1, round(height * self._scale[0])), max(1, round(width * self._scale[1]))
        self._sum = np.zeros(shape, np.float32)
        self._weight = np.zeros(shape, np.float32)
        self._columns: dict[str, list[Floats]] = {}

    def add(self, tiles: Sequence[Tile], outputs: Mapping[str, Floats]) -> None:
        """Outputs (T,) of some tiles by name, with `anomaly_map` (T, h, w), which is not kept."""
        for name, column in outputs.items():
            if name != "anomaly_map":
                self._columns.setdefault(name, []).append(column)
        for tile, anomaly_map in zip(tiles, outputs["anomaly_map"], strict=True):
            self._lay(tile, anomaly_map)

    def whole(self) -> dict[str, Floats]:
        """The outputs (1,) of the picture by name, with its map (1, H, W)."""
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        worst = int(columns["score"].argmax())
        told = {name: column[worst : worst + 1] for name, column in columns.items()}
        told["p_value"] = columns["p_value"].min(keepdims=True)
        told["novelty"] = columns["novelty"].max(keepdims=True)
        blended = (self._sum / np.maximum(self._weight, 1e-12)).astype(np.float32)
        return told | {"anomaly_map": blended[np.newaxis]}

    def _lay(self, tile: Tile, anomaly_map: Floats) -> None:
        """Lay a tile's map in its place; it weighs most in its middle."""
        (sy, sx), (rows, columns) = self._scale, self._sum.shape
        top, left = round(tile.top * sy), round(tile.left * sx)
        height = min(max(1, round(tile.height * sy)), rows - top)
        width = min(max(1, round(tile.width * sx)), columns - left)
        if anomaly_map.shape != (height, width):
            resized = Image.fromarray(anomaly_map).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            anomaly_map = np.asarray(resized)
        weight = np.outer(_tent(height), _tent(width)).astype(np.float32)
        place = np.s_[top : top + height, left : left + width]
        self._sum[place] += weight * anomaly_map
        self._weight[place] += weight


def _tent(length: int) -> Floats:
    """Weights that fall from the middle to the ends, where they are small but not zero."""
    x = np.arange(length, dtype=np.float32)
    tent: Floats = np.minimum(x + 0.5, length - x - 0.5)
    return tent
