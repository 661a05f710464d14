"""KolektorSDD2: Božič et al., "Mixed supervision for surface-defect detection: from weakly to
fully supervised learning" (Computers in Industry, 2021).

    train/10000.png
    train/10000_GT.png
    test/20000.png
    test/20000_GT.png

Every image has a mask beside it, all black where there is no defect; 246 of the 2331 images of
`train` and 110 of the 1004 of `test` have one. The archive also holds `10301 (copy).png` and
`10301_GT (copy).png`, strays that count as neither.
"""

from __future__ import annotations

from pathlib import Path

from onegauge.training.data.layouts.layout import GOOD, Layout, TestImage, Tree
from onegauge.training.data.masks import marked
from onegauge.training.errors import DataError

MASK = "_GT"
DEFECT = "defect"


class Kolektor(Layout):
    """Images whose names are numbers; the label is read from the mask."""

    name = "KolektorSDD2"

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether a `train` or `test` folder holds a `*_GT.png`."""
        return any(
            file.parent.name in ("train", "test") and file.name.endswith(f"{MASK}.png")
            for file in tree.files
        )

    def training(self) -> list[Path]:
        """The images of `train` whose mask is black."""
        return [image for image, mask in self._pairs("train") if not marked(mask).any()]

    def test(self) -> list[TestImage]:
        """The images of `test`."""
        return [
            self.labelled(image, DEFECT if marked(mask).any() else GOOD, mask)
            for image, mask in self._pairs("test")
        ]

    def _pairs(self, split: str) -> list[tuple[Path, Path]]:
        """Image and mask."""
        found = []
        for file in self.tree.images:
            if file.parent.name == split and file.stem.isdecimal():
                image = self.tree.root / file
                mask = image.with_name(f"{image.stem}{MASK}.png")
                if not mask.is_file():
                    raise DataError(f"{image} has no {mask.name} beside it, which tells its label")
                found.append((image, mask))
        return found
