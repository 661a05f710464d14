"""MVTec AD and every tree that is arranged like it, down to a plain folder of images.

Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly
Detection" (CVPR 2019):

    bottle/train/good/000.png
    bottle/test/good/000.png
    bottle/test/broken_large/000.png
    bottle/ground_truth/broken_large/000_mask.png

MPDD (Jezek et al., ICUMT 2021) has the same folders and mask names. VisA as its authors' script
rearranges it calls the one defect `bad` and gives a mask the bare stem of its image. Both names of
masks are read, and so are trees that plants arrange by names of their own: see `names`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from onegauge.training.data.layouts.arrangement import Arrangement, is_normal
from onegauge.training.data.layouts.layout import GOOD, Judge, Layout, TestImage, Tree
from onegauge.training.data.layouts.names import SPLIT, Role, role_of_folder
from onegauge.training.data.layouts.verdict import Verdict, taken


class Mvtec(Layout):
    """`<product>/train/*`, `<product>/test/<good or a defect>` and `<product>/ground_truth`.

    Products may lie at any depth, or the root may be one. Without folders of these names the tree
    is a plain folder of images, of which those are normal that no name calls otherwise.
    """

    name = "MVTec AD"

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is `test/good`, or `train/good` outside MVTec AD 2, which has it too."""
        ends = {folders[-2:] for folders in tree.folders}
        second = any("test_public" in folders for folders in tree.folders)
        return ("test", GOOD) in ends or (("train", GOOD) in ends and not second)

    def training(self) -> list[Path]:
        """Every image that no name calls a defect, a test or a mask."""
        judge = self.training_judge()
        return [self.tree.root / f for f in self.tree.images if judge(f, False).is_taken]

    def test(self) -> list[TestImage]:
        """`<product>/test/<good or a defect>/**`, each with the mask of its own stem."""
        judge = self.test_judge()
        tested = (self.test_image(f) for f in self.tree.images if judge(f, False).is_taken)
        return [image for image in tested if image]

    def training_judge(self) -> Judge:
        """The names of folders and files."""

        def judge(file: Path, included: bool) -> Verdict:
            return taken(*file.parts[:-1]) if included else self._arrangement.for_training(file)

        return judge

    def test_judge(self) -> Judge:
        """The names of folders."""

        def judge(file: Path, included: bool) -> Verdict:
            return self._arrangement.for_test(file, self._split(file), included=included)

        return judge

    def test_image(self, file: Path) -> TestImage | None:
        """An image with the label that its folders give it."""
        label = self._arrangement.label_of(file, self._split(file))
        if label is None:
            return None
        defect = GOOD if is_normal(label) else label
        mask = self._arrangement.mask_of(file)
        return self.labelled(self.tree.root / file, defect, mask and self.tree.root / mask)

    def product_of(self, path: Path) -> str:
        """The folders above that of the split; without one those above the labels."""
        product = self._arrangement.product_of(path.relative_to(self.tree.root))
        return product or self.tree.root.resolve().name

    def is_split(self, folder: str) -> bool:
        """Whether a folder of this name has test images."""
        return Role.TEST in role_of_folder(folder)

    def _split(self, file: Path) -> int | None:
        """Which of the folders above an image has the test images, None where none does."""
        splits = [i for i, f in enumerate(file.parts[:-1]) if role_of_folder(f) & SPLIT]
        return splits[-1] if splits and self.is_split(file.parts[splits[-1]]) else None

    @cached_property
    def _arrangement(self) -> Arrangement:
        return Arrangement(self.tree.images)
