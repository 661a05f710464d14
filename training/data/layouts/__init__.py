"""Layouts: one file, one data set's tree; a folder to its splits, labels, masks and products."""

from __future__ import annotations

from pathlib import Path

from onegauge.training.data.layouts.btad import Btad
from onegauge.training.data.layouts.dagm import Dagm
from onegauge.training.data.layouts.kolektor import Kolektor
from onegauge.training.data.layouts.layout import Layout, TestImage, Tree
from onegauge.training.data.layouts.mvtec import Mvtec
from onegauge.training.data.layouts.mvtec_ad2 import MvtecAd2
from onegauge.training.data.layouts.real_iad import RealIad
from onegauge.training.data.layouts.visa import Visa
from onegauge.training.errors import DataError

LAYOUTS: tuple[type[Layout], ...] = (Mvtec, MvtecAd2, Visa, Btad, RealIad, Kolektor, Dagm)

__all__ = ["LAYOUTS", "Layout", "TestImage", "recognise"]


def recognise(root: Path) -> Layout:
    """The layout of a folder, told from the folder itself; without signs of one, MVTec's.

    Raises DataError where `root` is not a folder or shows the signs of two layouts.
    """
    tree = Tree.below(root)
    fitting = [layout for layout in LAYOUTS if layout.fits(tree)]
    if len(fitting) > 1:
        raise DataError(
            f"{root} looks like {' and like '.join(layout.name for layout in fitting)}: give each "
            "data set a folder of its own, or arrange all products as "
            "<product>/{train/good,test/<good or a defect>,ground_truth/<a defect>}"
        )
    return (fitting[0] if fitting else Mvtec)(tree)
