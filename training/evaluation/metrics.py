"""Metrics of anomaly detection, pooled over all products and product by product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from onegauge.training.errors import DataError
from onegauge.training.evaluation.false_alarms import at_threshold, error_rates

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1_max")


def image_metrics(scores: np.ndarray, anomalous: np.ndarray) -> dict[str, float]:
    """Image AUROC, average precision and F1-max of scores (N,) against labels (N,).

    They are of order alone: equal scores count half in AUROC and fall on one side of a threshold.
    Empty where all images are of one kind, for which they are not defined.
    """
    if anomalous.all() or not anomalous.any():
        return {}
    precision, recall, _ = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {
        "image_auroc": float(roc_auc_score(anomalous, scores)),
        "image_ap": float(average_precision_score(anomalous, scores)),
        "image_f1_max": float(f1.max()),
    }


def all_metrics(
    scores: np.ndarray,
    anomalous: np.ndarray,
    products: Sequence[str],
    *,
    threshold: float,
    alpha: float,
    pixels: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All metrics of one alignment: pooled (absolute-unified), product mean, per product.

    `scores` (N,), `anomalous` bool (N,), `products` one name an image, `pixels` the `pixel_metrics`
    of the same images. Rates and metrics are in 0..1; `alpha` is the target false-alarm rate that
    `threshold` was calibrated for. A product's metrics are of that product alone, so that its
    F1-max is at its own best threshold (class-separated). A product with one kind of images, or
    without masks, lacks the metrics that need both and is left out of their means.

    Raises DataError for a score that is not finite.
    """
    require_finite(scores, products, "image scores")
    names = np.asarray(products)
    rows = {name: names == name for name in dict.fromkeys(products)}
    images = {n: image_metrics(scores[r], anomalous[r]) for n, r in rows.items()}
    rates = {n: error_rates(scores[r], anomalous[r], threshold) for n, r in rows.items()}
    pixels = pixels or {"pooled": {}, "product_mean": {}, "per_product": dict.fromkeys(rows, {})}
    return {
        "pooled": image_metrics(scores, anomalous) | pixels["pooled"],
        "product_mean": product_mean(images, IMAGE_METRICS) | pixels["product_mean"],
        "per_product": {n: images[n] | pixels["per_product"][n] | rates[n] for n in rows},
        "at_threshold": at_threshold(error_rates(scores, anomalous, threshold), rates, alpha),
    }


def product_mean(
    per_product: Mapping[str, Mapping[str, float]], metrics: Sequence[str]
) -> dict[str, float]:
    """The mean of each metric over the products that have it; no entry where none has."""
    having = {m: [row[m] for row in per_product.values() if m in row] for m in metrics}
    return {metric: float(np.mean(values)) for metric, values in having.items() if values}


def require_finite(values: np.ndarray, products: Sequence[str], what: str) -> None:
    """Raise DataError where a value of an image, values (N, ...), is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(values)} {what} are not finite, first that of image {bad[0]}, of "
            f"product {products[bad[0]]!r}: train anew, or leave such images out"
        )
