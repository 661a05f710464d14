"""The report's page: a template filled in, with everything escaped that comes from file names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onegauge.training.report.exhibit import Exhibit
from onegauge.training.report.gallery import Gallery
from onegauge.training.report.headline import Headline
from onegauge.training.report.plots import ANOMALOUS, INK, NORMAL, Plot
from onegauge.training.report.scale import THRESHOLD
from onegauge.training.report.templates import templates_of

TEMPLATE = "page.html"


@dataclass(frozen=True)
class Page:
    """All that the page shows."""

    headline: Headline
    figures: Mapping[str, Any]
    products: Sequence[str]  # the worst first
    distributions: Plot
    curves: Sequence[Plot]
    errors: Sequence[Gallery]
    hard: Sequence[Gallery]
    typical: Mapping[str, Sequence[Exhibit]]  # of each product
    card: Mapping[str, str]

    @property
    def has_masks(self) -> bool:
        """Whether the ground truth of any image is known pixel by pixel."""
        return any("aupro" in row for row in self.figures["per_product"].values())

    @property
    def alarms_axis(self) -> float:
        """Where the axis of false-alarm rates ends: at the next 5 % above all intervals."""
        rows = self.figures["per_product"].values()
        ends = [row["false_alarm_interval"][1] for row in rows if "false_alarm_interval" in row]
        return math.ceil(20 * max(ends, default=1.0)) / 20


def render(page: Page) -> str:
    """The page as HTML that needs no other file."""
    colours = {"normal": NORMAL, "anomalous": ANOMALOUS, "ink": INK}
    templates = templates_of()
    templates.globals |= {"threshold": THRESHOLD, **colours}
    return templates.get_template(TEMPLATE).render(page=page)
