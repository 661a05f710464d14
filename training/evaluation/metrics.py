"""Metrics of anomaly detection, pooled over all products and product by product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1_max")


def image_metrics(scores: np.ndarray, anomalous: np.ndarray) -> dict[str, float]:
    """Image AUROC, average precision and F1-max of scores (N,) against labels (N,)."""
    precision, recall, _ = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {
        "image_auroc": float(roc_auc_score(anomalous, scores)),
        "image_ap": float(average_precision_score(anomalous, scores)),
        "image_f1_max": float(f1.max()),
    }


def error_rates(scores: np.ndarray, anomalous: np.ndarray, threshold: float) -> dict[str, float]:
    """False-alarm rate and miss rate at `score >= threshold`."""
    alarms = scores >= threshold
    return {
        "false_alarm_rate": float(alarms[~anomalous].mean()),
        "miss_rate": float((~alarms[anomalous]).mean()),
    }


def report(
    scores: np.ndarray,
    anomalous: np.ndarray,
    products: Sequence[str],
    *,
    threshold: float,
    alpha: float,
) -> dict[str, object]:
    """All metrics of one alignment: pooled (absolute-unified), product mean, per product.

    `scores` (N,), `anomalous` bool (N,), `products` one name an image; every product has normal
    and anomalous images. Rates and AUROCs are in 0..1; `alpha` is the target false-alarm rate
    that `threshold` was calibrated for.
    """
    names = np.asarray(products)
    rows = {name: names == name for name in dict.fromkeys(products)}
    per_product = {n: image_metrics(scores[r], anomalous[r]) for n, r in rows.items()}
    rates = {n: error_rates(scores[r], anomalous[r], threshold) for n, r in rows.items()}
    return {
        "pooled": image_metrics(scores, anomalous),
        "product_mean": _mean(per_product),
        "per_product": {n: per_product[n] | rates[n] for n in rows},
        "at_threshold": {
            "alpha": alpha,
            **error_rates(scores, anomalous, threshold),
            "worst_product": _worst(rates),
        },
    }


def _mean(per_product: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {m: float(np.mean([row[m] for row in per_product.values()])) for m in IMAGE_METRICS}


def _worst(rates: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The highest false-alarm rate and the highest miss rate of any product."""
    return {
        kind: max(row[kind] for row in rates.values()) for kind in ("false_alarm_rate", "miss_rate")
    }
