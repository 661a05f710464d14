"""How far p-values are from what a model promises of those of normal images: that all are alike."""

from collections.abc import Sequence
from itertools import groupby


def ks_distance(p_values: Sequence[float], calibration_images: int) -> float:
    """The Kolmogorov-Smirnov distance of p-values from those of normal images, 0 to 1.

    Conformal p-values are multiples of 1 / (n + 1) and at most k / (n + 1) with probability
    k / (n + 1), so that only these levels are compared.
    """
    distance, below, step = 0.0, 0, 1 / (calibration_images + 1)
    for p_value, equal in groupby(sorted(p_values)):
        distance = max(distance, abs(below / len(p_values) - (p_value - step)))
        below += len(list(equal))
        distance = max(distance, abs(below / len(p_values) - p_value))
    return distance
