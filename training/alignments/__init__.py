"""Alignments: what makes scores of different products comparable, so that one threshold fits."""

from training.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    Unaligned,
)
from training.alignments.cada import Cada, CadaScalar
from training.alignments.cada_paper import CadaPaper
from training.alignments.class_aware import ClassAware, ClassAwareMax, ClassAwareTraining

ALIGNMENTS: dict[str, type[Alignment]] = {
    "cada": Cada,
    "cada-scalar": CadaScalar,
    "cada-paper": CadaPaper,
    "class-aware": ClassAware,
    "class-aware-max": ClassAwareMax,
    "class-aware-training": ClassAwareTraining,
    "none": Unaligned,
}

__all__ = ["ALIGNMENTS", "Aligned", "Alignment", "ClassAware", "Look", "References"]
