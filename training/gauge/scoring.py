"""From anomaly maps to image scores: how many pixels make the score, and which ones count."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from onegauge.service.errors import ImageError
from onegauge.service.imaging.image import read_mask
from onegauge.training.data.masks import MAX_PIXELS
from onegauge.training.errors import DataError


class Scoring(nn.Module):
    """The mean of the highest `share` of a map's pixels, of those that count.

    A share of 0 gives the maximum. The mean of some pixels is steadier than one pixel.
    """

    inspected: Tensor | None
    rows: Tensor | None

    def __init__(self, share: float, inspected: Tensor | None = None) -> None:
        """`inspected` bool (h, w) has at least one true pixel; None: all count."""
        super().__init__()
        self.share = share
        self.register_buffer("inspected", inspected)
        rows = None if inspected is None else inspected.flatten().nonzero().squeeze(1)
        self.register_buffer("rows", rows)

    def pixels(self, maps: Tensor) -> int:
        """How many pixels of maps (B, h, w) make a score."""
        counted = maps[0].numel() if self.rows is None else len(self.rows)
        return max(1, round(self.share * counted))

    def forward(self, maps: Tensor) -> Tensor:
        """Image scores (B,) of maps (B, h, w)."""
        pixels = maps.flatten(1)
        if self.rows is not None:
            pixels = pixels[:, self.rows]
        return pixels.topk(self.pixels(maps), dim=1).values.mean(1)

    def blank(self, maps: Tensor) -> Tensor:
        """Calibrated maps (B, h, w) with the typical normal value where nothing is inspected."""
        if self.inspected is None:
            return maps
        return torch.where(self.inspected, maps, torch.zeros_like(maps))


def inspected_part(mask: Path, side: int) -> Tensor:
    """What is white in the picture `mask`, at the size of the maps: bool (side, side).

    Raises DataError where it cannot be read, or leaves nothing.
    """
    try:
        inspected = read_mask(mask.read_bytes(), (side, side), max_pixels=MAX_PIXELS)
    except (ImageError, OSError) as exc:
        raise DataError(f"the mask {mask} cannot be read: {exc}") from exc
    if not inspected.any():
        raise DataError(f"the mask {mask} leaves nothing to inspect: paint white what is to be")
    return torch.from_numpy(inspected)
