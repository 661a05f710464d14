"""DAGM 2007: Wieler and Hahn, "Weakly Supervised Learning for Industrial Optical Inspection"
(competition at the DAGM symposium, 2007); ten rendered textures.

    Class1/Train/0576.PNG
    Class1/Train/Label/Labels.txt
    Class1/Train/Label/0595_label.PNG
    Class1/Test/...                     the same

A line of `Labels.txt` is `number, defective (0 or 1), image, 0, mask (or 0)`, separated by tabs;
the first line is a number alone. A mask of 0 and 255 is an ellipse around the defect, drawn
roughly on purpose.
"""

from __future__ import annotations

from pathlib import Path

from onegauge.training.data.layouts.layout import GOOD, Layout, TestImage, Tree, existing
from onegauge.training.errors import DataError

LABELS = ("Label", "Labels.txt")
DEFECT = "defect"


class Dagm(Layout):
    """`<product>/{Train,Test}` with labels in a text file; training takes the normal images."""

    name = "DAGM 2007"

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is a `Label/Labels.txt`."""
        return any(file.parts[-2:] == LABELS for file in tree.files)

    def training(self) -> list[Path]:
        """The normal images of every `Train`."""
        return sorted(image for image, mask in self._entries("Train") if mask is None)

    def test(self) -> list[TestImage]:
        """The images of every `Test`."""
        found = [
            self.labelled(image, DEFECT if mask else GOOD, mask)
            for image, mask in self._entries("Test")
        ]
        return sorted(found, key=lambda image: image.path)

    def _entries(self, split: str) -> list[tuple[Path, Path | None]]:
        """Image and mask; None of a normal image."""
        found = []
        for file in self.tree.files:
            if file.parts[-2:] == LABELS and file.parts[-3:-2] == (split,):
                labels = self.tree.root / file
                for image, mask in _read(labels):
                    path = existing(labels.parents[1] / image, labels)
                    found.append((path, existing(labels.with_name(mask), labels) if mask else None))
        return found


def _read(labels: Path) -> list[tuple[str, str | None]]:
    """Names of image and mask, None of a normal image, from a `Labels.txt`."""
    found: list[tuple[str, str | None]] = []
    for line in labels.read_text(encoding="utf-8", errors="replace").splitlines():
        match line.split():
            case [] | [_]:
                continue
            case [_, "0", image, *_]:
                found.append((image, None))
            case [_, "1", image, _, mask]:
                found.append((image, mask))
            case _:
                raise DataError(
                    f"{labels} has the line {line!r}: expected number, 0 or 1, image, 0, mask"
                )
    return found
