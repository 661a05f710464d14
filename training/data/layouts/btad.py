"""BTAD: Mishra et al., "VT-ADL: A Vision Transformer Network for Image Anomaly Detection and
Localization" (ISIE 2021).

    01/train/ok/0000.bmp
    01/test/ok/0000.bmp
    01/test/ko/0000.bmp
    01/ground_truth/ko/0000.png        of product 03: 0000.bmp

A mask has the stem of its image, which a normal image may have as well. Published readers meet
masks of 0 and 1 and masks of 0 and 255 in this data set.
"""

from __future__ import annotations

from onegauge.training.data.layouts.layout import Tree
from onegauge.training.data.layouts.mvtec import Mvtec


class Btad(Mvtec):
    """MVTec AD with other names: `ok` for normal, `ko` for the one defect."""

    name = "BTAD"

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is `train/ok`, `test/ok` or `test/ko`."""
        known = {("train", "ok"), ("test", "ok"), ("test", "ko")}
        return any(folders[-2:] in known for folders in tree.folders)
