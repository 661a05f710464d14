"""MVTec AD 2: Heckler-Kram et al., "The MVTec AD 2 Dataset: Advanced Scenarios for Unsupervised
Anomaly Detection" (2025, arXiv 2503.21622).

    can/train/good/000_regular.png
    can/validation/good/000_regular.png
    can/test_public/good/000_regular.png
    can/test_public/bad/000_regular.png
    can/test_public/ground_truth/bad/000_regular_mask.png
    can/test_private/000_regular.png            without labels, for the authors' server
    can/test_private_mixed/000_mixed.png        the same

Folders and mask names are those of the authors' own reader, by which 255 denotes an anomaly.
"""

from __future__ import annotations

from onegauge.training.data.layouts.layout import Tree
from onegauge.training.data.layouts.mvtec import Mvtec

SPLIT = "test_public"


class MvtecAd2(Mvtec):
    """Trains on `train` and `validation`, both flawless, and evaluates on `test_public`."""

    name = "MVTec AD 2"

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether any folder is called `test_public`."""
        return any(SPLIT in folders for folders in tree.folders)

    def is_split(self, folder: str) -> bool:
        """Whether a folder has test images with labels."""
        return folder == SPLIT
