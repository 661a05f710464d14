"""Pixel metrics: how well anomaly maps find the anomalous pixels, pooled and by product.

AUROC, average precision, F1-max and AUPRO ask but one thing of an anomalous pixel: how many normal
pixels score as high. So a first pass gathers the distinct scores of the anomalous pixels, which
are few, and a second one counts the normal pixels above and at each of them. Nothing else is kept
of an image. That is exact up to `SCORES` distinct scores; beyond that, neighbours are merged, each
merging moves less than 2/`SCORES` of the anomalous pixels or of the regions, and the metrics
stay within 1e-4 of those of all pixels however the scores are distributed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.integrate import trapezoid
from scipy.ndimage import label

from onegauge.training.evaluation.metrics import product_mean, require_finite

PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
FPR_LIMIT = 0.3  # of AUPRO: Bergmann et al., "Uninformed Students" (CVPR 2020), section 4
SCORES = 2**18
CHUNK = 2**22  # pixels that are held before they are counted
EIGHT = np.ones((3, 3))  # pixels that touch at a corner are one region

Masks = Callable[[int], np.ndarray | None]


def pixel_metrics(
    maps: np.ndarray, masks: Masks, products: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """`PIXEL_METRICS` pooled over all products, of each product alone, and their product mean.

    `maps` (N, h, w) are enlarged bilinearly to the size of their masks. `masks(i)` is the bool
    mask (H, W) of image i, all False for a normal image, or None for an image without ground
    truth, which takes no part; it is asked twice, so that no mask is kept. Sizes may differ. What
    lacks anomalous or normal pixels has no metrics and an empty dict. Raises DataError for a map
    that is not finite.
    """
    require_finite(maps, products, "anomaly maps")
    names = np.asarray(products)
    rows = {name: np.flatnonzero(names == name) for name in dict.fromkeys(products)}
    anomalous = {name: _anomalous(maps, masks, own) for name, own in rows.items()}
    pooled = Curve(Anomalous.merged(anomalous.values()))
    per_product = {}
    for name, own in rows.items():
        curve = Curve(anomalous[name])
        for scores in _normal(maps, masks, own):
            curve.add(scores)
            pooled.add(scores)
        per_product[name] = curve.figures()
    return {
        "pooled": pooled.figures(),
        "product_mean": product_mean(per_product, PIXEL_METRICS),
        "per_product": per_product,
    }


@dataclass(frozen=True)
class Anomalous:
    """Anomalous pixels by score."""

    scores: np.ndarray  # (K,) fp32, ascending and distinct
    pixels: np.ndarray  # (K,) pixels of that score
    regions: np.ndarray  # (K,) their share of their regions: every region adds up to 1

    @classmethod
    def of(cls, scores: np.ndarray, mask: np.ndarray) -> Anomalous:
        """One image: scores and mask (H, W). A region is an 8-connected component of the mask."""
        regions = label(mask, EIGHT)[0][mask]  # (A,) 1, 2, ...
        return cls(scores[mask], np.ones(len(regions)), 1 / np.bincount(regions)[regions])._sorted()

    @classmethod
    def merged(cls, parts: Iterable[Anomalous]) -> Anomalous:
        """All parts together, with at most `SCORES` distinct scores."""
        columns = zip(*((p.scores, p.pixels, p.regions) for p in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))._sorted()._thinned()

    def _sorted(self) -> Anomalous:
        if not len(self.scores):
            return self
        order = np.argsort(self.scores)
        scores = self.scores[order]
        last = np.append(scores[1:] != scores[:-1], True)
        return Anomalous(scores, self.pixels[order], self.regions[order])._grouped(last)

    def _thinned(self) -> Anomalous:
        """Neighbours merged into the highest of them, so that little moves a little upwards.

        Whatever moves has less than 1/`SCORES` of the mass in its way, half of which is pixels and
        half regions; a score that alone has more, as ties have, stays where it is.
        """
        if len(self.scores) <= SCORES:
            return self
        mass = self.pixels / self.pixels.sum() + self.regions / self.regions.sum()  # (K,), sum 2
        below = np.cumsum(mass) - mass
        group = (below * SCORES / 2).astype(np.int64)  # (K,) 0 .. SCORES - 1, ascending
        return self._grouped(np.append(group[1:] != group[:-1], True))

    def _grouped(self, last: np.ndarray) -> Anomalous:
        """Sums over runs of scores; `last` (K,) marks where a run ends and is its new score."""
        starts = np.flatnonzero(np.append(True, last)[:-1])
        pixels, regions = (np.add.reduceat(x, starts) for x in (self.pixels, self.regions))
        return Anomalous(self.scores[last], pixels, regions)


class Curve:
    """What each anomalous score, taken as the threshold, finds and falsely alarms."""

    def __init__(self, anomalous: Anomalous) -> None:
        self.anomalous = anomalous
        self.normal = 0
        self.below = np.zeros(len(anomalous.scores), np.int64)  # (K,) normal pixels < score
        self.up_to = np.zeros(len(anomalous.scores), np.int64)  # (K,) normal pixels <= score

    def add(self, scores: np.ndarray) -> None:
        """Count normal pixels by their sorted scores (M,)."""
        self.normal += len(scores)
        self.below += np.searchsorted(scores, self.anomalous.scores, side="left")
        self.up_to += np.searchsorted(scores, self.anomalous.scores, side="right")

    def figures(self) -> dict[str, float]:
        """`PIXEL_METRICS`; nothing where there are no anomalous or no normal pixels."""
        pixels = self.anomalous.pixels[::-1]  # (K,) highest threshold first, as all that follows
        if not len(pixels) or not self.normal:
            return {}
        found, false_alarms = np.cumsum(pixels), self.normal - self.below[::-1]
        overlap = np.cumsum(self.anomalous.regions[::-1])
        flagged = found + false_alarms
        return {
            "pixel_auroc": self._area(found / found[-1], 1.0),
            "pixel_ap": float(np.sum(pixels / found[-1] * found / flagged)),
            "pixel_f1_max": float(np.max(2 * found / (flagged + found[-1]))),
            "aupro": self._area(overlap / overlap[-1], FPR_LIMIT) / FPR_LIMIT,
        }

    def _area(self, rate: np.ndarray, limit: float) -> float:
        """Area under a rate (K,) as a function of the false-positive rate, up to a limit of it.

        The curve is level between two scores and, where normal pixels tie with anomalous ones,
        straight across the tie.
        """
        ties = np.stack([self.up_to, self.below], axis=1)[::-1]  # (K, 2)
        steps = np.stack([np.append(0, rate[:-1]), rate], axis=1)  # (K, 2)
        x = np.concatenate([[0], 1 - ties.ravel() / self.normal, [1]])  # (2K + 2,)
        y = np.concatenate([[0], steps.ravel(), [1]])
        inside = x <= limit
        x_inside, y_inside = (
            np.append(x[inside], limit),
            np.append(y[inside], np.interp(limit, x, y)),
        )
        return float(trapezoid(y_inside, x_inside))


def enlarged(anomaly_map: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map (h, w) at the size (H, W), fp32.

    Bilinear in double precision: what is constant stays constant, to the last bit.
    """
    pixels = torch.tensor(anomaly_map, dtype=torch.float64)[None, None]  # (1, 1, h, w)
    return F.interpolate(pixels, size, mode="bilinear", align_corners=False)[0, 0].float().numpy()


def _anomalous(maps: np.ndarray, masks: Masks, rows: np.ndarray) -> Anomalous:
    """The anomalous pixels of the images `rows`."""
    parts, held = [Anomalous(np.empty(0, np.float32), np.empty(0), np.empty(0))], 0
    for row in rows:
        mask = masks(row)
        if mask is not None and mask.any():
            parts.append(Anomalous.of(enlarged(maps[row], mask.shape), mask))
            held += len(parts[-1].scores)
        if held >= CHUNK:
            parts, held = [Anomalous.merged(parts)], 0
    return Anomalous.merged(parts)


def _normal(maps: np.ndarray, masks: Masks, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The sorted scores of the normal pixels of the images `rows`, chunk by chunk."""
    parts: list[np.ndarray] = []
    for row in rows:
        mask = masks(row)
        if mask is not None:
            parts.append(enlarged(maps[row], mask.shape)[~mask])
        if sum(map(len, parts)) >= CHUNK:
            yield np.sort(np.concatenate(parts))
            parts = []
    if parts:
        yield np.sort(np.concatenate(parts))
