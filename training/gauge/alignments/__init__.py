"""Alignments: what makes scores of different products comparable, so that one threshold fits."""

from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    Shown,
    Unaligned,
    aligned_maps,
)
from onegauge.training.gauge.alignments.cada import Cada, CadaScalar
from onegauge.training.gauge.alignments.cada_paper import CadaPaper
from onegauge.training.gauge.alignments.class_aware import (
    ByProduct,
    ClassAware,
    ClassAwareMax,
    ClassAwareTraining,
    ClassSeparated,
)

ALIGNMENTS: dict[str, type[Alignment]] = {
    "cada": Cada,
    "cada-scalar": CadaScalar,
    "cada-paper": CadaPaper,
    "class-aware": ClassAware,
    "class-aware-max": ClassAwareMax,
    "class-aware-training": ClassAwareTraining,
    "class-separated": ClassSeparated,
    "none": Unaligned,
}

__all__ = [
    "ALIGNMENTS",
    "Aligned",
    "Alignment",
    "ByProduct",
    "Look",
    "References",
    "Shown",
    "aligned_maps",
]
