"""What the figures say in words: was the promise about false alarms kept, and what is missed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onegauge.training.report.scale import THRESHOLD

NONE = "–"


@dataclass(frozen=True)
class Headline:
    """The first thing that a reader sees."""

    status: str  # kept, open, broken or unknown
    text: str
    sentences: tuple[str, ...]


def headline(figures: Mapping[str, Any]) -> Headline:
    """The headline over `metrics.all_metrics` of one alignment."""
    at = figures["at_threshold"]
    status, text = _promise_kept(at)
    sentences = (_false_alarms(at), _misses(at), _auroc(figures), _worst(figures))
    return Headline(status, text, tuple(s for s in sentences if s))


def percent(share: float | None) -> str:
    """0.0394 → 3.9 %, with a space that does not break; a dash for what there is not."""
    return NONE if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def promised(alpha: float) -> str:
    """A promised rate with the digits that it was given in: 0.001 → 0.1 %."""
    return f"{100 * alpha:.3g}\N{NO-BREAK SPACE}%"


def interval(ends: tuple[float, float] | None) -> str:
    """(0.023, 0.062) → 2.3–6.2 %."""
    return NONE if ends is None else f"{100 * ends[0]:.1f}–{percent(ends[1])}"


def score(value: float) -> str:
    """A calibrated score with two digits, or more where two hide its side of the threshold."""
    digits = 2
    while (round(value, digits) >= THRESHOLD) != (value >= THRESHOLD):
        digits += 1
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _promise_kept(at: Mapping[str, Any]) -> tuple[str, str]:
    if "false_alarm_rate" not in at:
        return "unknown", "No normal images: the promise about false alarms cannot be checked"
    rate, most = percent(at["false_alarm_rate"]), promised(at["alpha"])
    if at["false_alarm_rate"] <= at["alpha"]:
        return "kept", f"The promise is kept: {rate} false alarms, at most {most} promised"
    if at["false_alarm_interval"][0] <= at["alpha"]:
        return "open", f"{rate} false alarms, which still agrees with the promised {most}"
    return "broken", f"The promise is broken: {rate} false alarms, at most {most} promised"


def _false_alarms(at: Mapping[str, Any]) -> str:
    if "false_alarm_rate" not in at:
        return ""
    wrong = _count(at["false_alarm_rate"], at["normal"], "normal")
    return f"{wrong} flagged (95 % interval {interval(at['false_alarm_interval'])})."


def _misses(at: Mapping[str, Any]) -> str:
    if "miss_rate" not in at:
        return "There are no anomalous images, so nothing is known about misses."
    wrong = _count(at["miss_rate"], at["anomalous"], "anomalous")
    return f"{wrong} missed: {percent(at['miss_rate'])} ({interval(at['miss_interval'])})."


def _count(rate: float, images: int, kind: str) -> str:
    wrong = round(rate * images)
    return f"{wrong or 'None'} of {images} {kind} images {'is' if wrong == 1 else 'are'}"


def _auroc(figures: Mapping[str, Any]) -> str:
    if "image_auroc" not in figures["pooled"]:
        return ""
    pooled = percent(figures["pooled"]["image_auroc"])
    products, mean = len(figures["per_product"]), figures["product_mean"].get("image_auroc")
    if products == 1:
        return f"Image AUROC is {pooled}."
    alone = f" (mean of each product alone: {percent(mean)})" if mean is not None else ""
    return f"Pooled over {products} products, image AUROC is {pooled}{alone}."


def _worst(figures: Mapping[str, Any]) -> str:
    """The products with the highest rates, where there are several and errors at all."""
    worst, parts = figures["at_threshold"]["worst_product"], []
    if len(figures["per_product"]) == 1:
        return ""
    if worst.get("miss_rate"):
        parts.append(f"most misses: {worst['misses_of']} ({percent(worst['miss_rate'])})")
    if worst.get("false_alarm_rate"):
        rate = percent(worst["false_alarm_rate"])
        parts.append(f"most false alarms: {worst['false_alarms_of']} ({rate})")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
