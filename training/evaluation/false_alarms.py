"""Whether a false-alarm rate is kept: errors at the one threshold, and p-values of normal images.

A rate from a few dozen images is uncertain, so every rate comes with its 95 % interval: Clopper
and Pearson, "The Use of Confidence or Fiducial Limits" (Biometrika 1934), which holds for any rate
and number of images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from onegauge.service.model.uniformity import ks_distance

CONFIDENCE = 0.95
RATES = (0.01, 0.05)  # that every model is measured at, whatever its own


def error_rates(scores: np.ndarray, anomalous: np.ndarray, threshold: float) -> dict[str, Any]:
    """False-alarm and miss rate of scores (N,) at `score >= threshold`, intervals and counts.

    Without normal images there is no false-alarm rate, without anomalous ones no miss rate.
    """
    alarms = scores >= threshold
    return {
        "normal": int(np.sum(~anomalous)),
        "anomalous": int(np.sum(anomalous)),
        **_rate("false_alarm", alarms[~anomalous]),
        **_rate("miss", ~alarms[anomalous]),
    }


def at_threshold(
    overall: Mapping[str, Any], per_product: Mapping[str, Mapping[str, Any]], alpha: float
) -> dict[str, Any]:
    """The `error_rates` of all images beside the promised rate `alpha` and the worst product.

    `alpha_in_interval` tells whether the measured false-alarm rate agrees with the promise. An
    interval below `alpha` breaks no promise, but spends it badly: more defects could be found.
    """
    interval = overall.get("false_alarm_interval")
    agreement = {"alpha_in_interval": interval[0] <= alpha <= interval[1]} if interval else {}
    worst = _worst("false_alarm_rate", "false_alarms_of", per_product)
    worst |= _worst("miss_rate", "misses_of", per_product)
    return {"alpha": alpha, **overall, **agreement, "worst_product": worst}


def at_rates(
    p_values: np.ndarray, anomalous: np.ndarray, products: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """`at_threshold` of images with p-values (N,), each of `RATES` promised in turn.

    An image with a p-value of at most α is anomalous, which is one threshold for all products. A
    rate below the least p-value that the calibration images allow finds nothing.
    """
    names = np.asarray(products)
    rows = {name: names == name for name in dict.fromkeys(products)}
    figures = {}
    for alpha in RATES:
        of_each = {n: error_rates(-p_values[r], anomalous[r], -alpha) for n, r in rows.items()}
        overall = error_rates(-p_values, anomalous, -alpha)
        figures[f"{alpha:g}"] = at_threshold(overall, of_each, alpha)
    return figures


def uniformity(p_values: np.ndarray, calibration_images: int | None) -> dict[str, float]:
    """The distance `ks` of normal images' p-values (M,) from what they promise.

    Empty where there is no image, or a model does not say how many it was calibrated on.
    """
    if calibration_images is None or not len(p_values):
        return {}
    return {"ks": ks_distance(p_values.tolist(), calibration_images)}


def _rate(error: str, wrong: np.ndarray) -> dict[str, Any]:
    """The share of decisions (M,) that are wrong, with its interval."""
    if not len(wrong):
        return {}
    count = int(np.sum(wrong))
    interval = binomtest(count, len(wrong)).proportion_ci(CONFIDENCE, method="exact")
    return {
        f"{error}_rate": count / len(wrong),
        f"{error}_interval": [float(interval.low), float(interval.high)],
    }


def _worst(rate: str, whose: str, per_product: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The highest rate of any product, and the product."""
    rates = {name: row[rate] for name, row in per_product.items() if rate in row}
    if not rates:
        return {}
    name = max(rates, key=rates.__getitem__)
    return {rate: rates[name], whose: name}
