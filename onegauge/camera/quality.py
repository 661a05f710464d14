"""Whether a frame is worth to be inspected: sharp, neither too dark nor too bright, and new."""

from collections import deque
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from onegauge.camera.source import Pixels

SIDE = 384  # pixels of the longer side: about what a model sees, with less noise than the sensor's
SMOOTH = 1.2  # pixels: what is left of the noise would pass for sharpness
BLUR = 7  # pixels, along one direction
CLIPPED = 250  # of 255, and brighter
USUAL_OF, USUAL_FROM = 200, 20  # good frames that tell what is usual
DETAILS = {  # by problem, for people
    "blurred": "the sharpness is {0}",
    "underexposed": "the brightest hundredth of the pixels begins at {0} of 255",
    "overexposed": "a share of {0} of the pixels is white",
    "frozen": "all pixels are those of the frame before",
}


@dataclass(frozen=True)
class Bounds:
    """What a frame has to keep to; `python -m bench.frames` measures them."""

    min_sharpness: float = 0.1
    usual_sharpness: float = 0.65  # share of what is usual here
    min_highlights: float = 64.0
    usual_highlights: float = 0.38  # share, too
    max_clipped: float = 0.99


@dataclass(frozen=True)
class Look:
    """What was measured of a frame."""

    sharpness: float  # 0 to 1
    highlights: float  # 0 to 255: the brightest hundredth of its pixels begins here
    clipped: float  # share of its pixels that are white


@dataclass(frozen=True)
class Fault:
    """Why a frame is not worth to be inspected: a word of DETAILS, and how much."""

    problem: str
    value: float


class Gate:
    """Looks at each frame, and knows the frames before."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._last: Pixels | None = None
        self._good: deque[Look] = deque(maxlen=USUAL_OF)

    def judge(self, pixels: Pixels) -> tuple[Look, Fault | None]:
        """What a frame is like, and what is wrong with it."""
        look = look_at(pixels)
        is_frozen = self._last is not None and np.array_equal(pixels, self._last)
        self._last = pixels
        fault = Fault("frozen", 0) if is_frozen else self._fault(look)
        if fault is None:
            self._good.append(look)
        return look, fault

    def _fault(self, look: Look) -> Fault | None:
        bounds = self._bounds
        sharpness, highlights = bounds.min_sharpness, bounds.min_highlights
        if len(self._good) >= USUAL_FROM:
            usual = median(good.sharpness for good in self._good)
            sharpness = max(sharpness, bounds.usual_sharpness * usual)
            usual = median(good.highlights for good in self._good)
            highlights = max(highlights, bounds.usual_highlights * usual)
        if look.highlights < highlights:
            return Fault("underexposed", look.highlights)
        if look.clipped > bounds.max_clipped:
            return Fault("overexposed", look.clipped)
        if look.sharpness < sharpness:
            return Fault("blurred", look.sharpness)
        return None


def look_at(pixels: Pixels) -> Look:
    """Measure a frame of 8 or 16 bits, (H, W) or (H, W, 3)."""
    grey = _small_and_grey(pixels)
    highlights = float(np.percentile(grey, 99))
    return Look(sharpness(grey), highlights, float((grey >= CLIPPED).mean()))


def sharpness(grey: NDArray[np.float32]) -> float:
    """How much of the differences between neighbours goes by blurring a picture (H, W), 0 to 1.

    Crété et al., "The Blur Effect", 2007: a picture that is blurred already loses little. The
    share says nothing of how many edges there are, so that different products compare.
    """
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTH)
    shares = []
    for axis, kernel in ((0, (1, BLUR)), (1, (BLUR, 1))):
        before = np.abs(np.diff(smooth, axis=axis))
        after = np.abs(np.diff(cv2.blur(smooth, kernel), axis=axis))
        lost = np.maximum(0, before - after).sum()
        shares.append(float(lost / max(before.sum(), 1e-6)))
    return min(shares)  # what moves is blurred in one direction


def _small_and_grey(pixels: Pixels) -> NDArray[np.float32]:
    """As (H, W) of 0 to 255."""
    share = SIDE / max(pixels.shape[:2])
    if share < 1:
        pixels = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    return grey.astype(np.float32) / np.float32(257 if pixels.dtype == np.uint16 else 1)
