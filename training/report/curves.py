"""Curves over all products: ROC, errors against the threshold, and how p-values are distributed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score, roc_curve

from onegauge.training.evaluation.readings import Readings
from onegauge.training.report.plots import ANOMALOUS, FAINT, INK, MUTED, NORMAL
from onegauge.training.report.scale import THRESHOLD

SIZE = (3.6, 3.5)  # inches
FARTHEST = 10  # times the threshold, and a tenth of it: beyond is nothing to choose
TAILS = (0.025, 0.975)
LEVELS = 60  # at which the band of p-values is computed


def draw_roc(readings: Readings) -> Figure:
    """Pooled ROC before and after alignment with the operating point; needs both kinds."""
    figure, axes = _axes("normal images flagged", "anomalous images flagged")
    anomalous, flagged = readings.anomalous, readings.score >= THRESHOLD
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    for when, scores, line, colour in (
        ("before", readings.raw_score, "--", MUTED),
        ("after", readings.score, "-", INK),
    ):
        x, y, _ = roc_curve(anomalous, scores, drop_intermediate=False)
        label = f"{when} alignment, AUROC {100 * roc_auc_score(anomalous, scores):.1f} %"
        axes.plot(x, y, line, color=colour, linewidth=1.6, label=label)
    point = flagged[~anomalous].mean(), flagged[anomalous].mean()
    axes.plot(*point, "o", color=ANOMALOUS, markersize=8, zorder=4, label="at the one threshold")
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlim(-0.01, 1)
    axes.legend(loc="lower right")
    return figure


def draw_trade_off(readings: Readings, alpha: float) -> Figure:
    """False alarms and misses against the threshold."""
    figure, axes = _axes("threshold (1: in use; logarithmic)", "share of images")
    thresholds = np.geomspace(THRESHOLD / FARTHEST, THRESHOLD * FARTHEST, 401)
    normal, anomalous = (np.sort(readings.score[readings.anomalous == k]) for k in (False, True))
    if len(normal):
        alarms = 1 - np.searchsorted(normal, thresholds) / len(normal)
        axes.plot(thresholds, alarms, color=NORMAL, linewidth=2, label="false alarms")
    if len(anomalous):
        missed = np.searchsorted(anomalous, thresholds) / len(anomalous)
        axes.plot(thresholds, missed, "--", color=ANOMALOUS, linewidth=2, label="misses")
    axes.axvline(THRESHOLD, color=INK, linewidth=1.2, label="threshold")
    axes.axhline(alpha, color=MUTED, linewidth=1.4, linestyle=":", label="promise")
    axes.set_xscale("log")
    axes.set_xlim(thresholds[0], thresholds[-1])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left")
    return figure


def draw_p_values(readings: Readings, alpha: float, calibration: int) -> Figure:
    """The share of normal images with a p-value of at most u, against u; needs normal images.

    The band is of gauges with so many images in their calibration.
    """
    figure, axes = _axes("u", "normal images with p-value ≤ u")
    p_values = np.sort(readings.p_value[~readings.anomalous])  # (M,)
    levels, low, high = expected_shares(len(p_values), calibration)
    axes.fill_between(
        levels, low, high, color=NORMAL, alpha=0.25, linewidth=0, label="95 % of sound gauges"
    )
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="ideal")
    steps = np.arange(len(p_values) + 1) / len(p_values)
    axes.step([0, *p_values], steps, where="post", color=INK, linewidth=1.6, label="measured")
    share = float((p_values <= alpha).mean())
    axes.plot(alpha, share, "o", color=ANOMALOUS, markersize=8, zorder=4, label="at the promise")
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlim(-0.01, 1)
    axes.legend(loc="lower right")
    return figure


def expected_shares(images: int, calibration: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (L,), and the shares (L,), (L,) between which 95 % of sound gauges lie at each.

    Of M exchangeable images, those with p <= j/(n + 1) follow the beta-binomial distribution with
    parameters M, j and n + 1 - j: all are compared with the same n calibration images.
    """
    j = np.unique(np.linspace(1, calibration, LEVELS).round())
    low, high = (betabinom.ppf(q, images, j, calibration + 1 - j) / images for q in TAILS)
    return j / (calibration + 1), low, high


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylim(-0.01, 1.01)
    axes.grid()
    return figure, axes
