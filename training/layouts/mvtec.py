"""MVTec AD and every tree that is arranged like it, down to a plain folder of images.

Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly
Detection" (CVPR 2019):

    bottle/train/good/000.png
    bottle/test/good/000.png
    bottle/test/broken_large/000.png
    bottle/ground_truth/broken_large/000_mask.png

MPDD (Jezek et al., ICUMT 2021) has the same folders and mask names. VisA as its authors' script
rearranges it calls the one defect `bad` and gives a mask the bare stem of its image. Both names of
masks are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from training.layouts.layout import GOOD, Layout, TestImage, Tree

# Of any layout, so that no mixture of trees lets a defective image into training.
NOT_FOR_TRAINING = {"test", "ground_truth", "test_public", "test_private", "test_private_mixed"}


class Mvtec(Layout):
    """`<product>/train/*`, `<product>/test/<good or a defect>` and `<product>/ground_truth`.

    Products may lie at any depth, or the root may be one. Without folders of these names the tree
    is a plain folder of images, all of them normal.
    """

    name = "MVTec AD"
    split: ClassVar[str] = "test"
    normal: ClassVar[str] = GOOD
    masks: ClassVar[tuple[str, ...]] = ("ground_truth",)  # below the product

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is `test/good`, or `train/good` outside MVTec AD 2, which has it too."""
        ends = {folders[-2:] for folders in tree.folders}
        second = any("test_public" in folders for folders in tree.folders)
        return ("test", GOOD) in ends or (("train", GOOD) in ends and not second)

    def training(self) -> list[Path]:
        """Every image outside the folders of tests and masks."""
        root = self.tree.root
        return [root / f for f in self.tree.images if not NOT_FOR_TRAINING & set(f.parts[:-1])]

    def test(self) -> list[TestImage]:
        """`<product>/test/<good or a defect>/*`, each with the mask of its own stem."""
        masks = {(*file.parts[:-1], file.stem): self.tree.root / file for file in self.tree.images}
        found = []
        for file in self.tree.images:
            if file.parts[-3:-2] == (self.split,):
                label = file.parts[-2]
                folder = (*file.parts[:-3], *self.masks, label)
                mask = masks.get((*folder, f"{file.stem}_mask")) or masks.get((*folder, file.stem))
                defect = GOOD if label == self.normal else label
                found.append(self.labelled(self.tree.root / file, defect, mask))
        return found
