"""VisA: Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and
Segmentation" (ECCV 2022).

    split_csv/1cls.csv        object,split,label,image,mask
    candle/Data/Images/Normal/0000.JPG
    candle/Data/Images/Anomaly/000.JPG
    candle/Data/Masks/Anomaly/000.png

The split is the authors' one-class split: normal images to train on, both kinds to test on. In
their file paths are relative to the data set, `label` is `normal` or `anomaly`, and normal images
have no mask. By the authors' table of classes, the values of a mask number its defects from 1 on,
so that it looks black.
"""

from __future__ import annotations

import csv
from pathlib import Path

from onegauge.training.data.layouts.layout import GOOD, Layout, TestImage, Tree, existing
from onegauge.training.errors import DataError

SPLIT = ("split_csv", "1cls.csv")
COLUMNS = ("object", "split", "label", "image", "mask")


class Visa(Layout):
    """The tree as it is published; rearranged by the authors' script it is MVTec-style."""

    name = "VisA"

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.folder = self.base(f.parents[1] for f in tree.files if f.parts[-2:] == SPLIT)

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is `split_csv/1cls.csv`."""
        return any(file.parts[-2:] == SPLIT for file in tree.files)

    def training(self) -> list[Path]:
        """The normal images of the split `train`."""
        rows = self._rows("train")
        return sorted(self._file(row["image"]) for row in rows if row["label"] == "normal")

    def test(self) -> list[TestImage]:
        """The images of the split `test`; the one defect is called as the label, `anomaly`."""
        found = []
        for row in self._rows("test"):
            defect = GOOD if row["label"] == "normal" else row["label"]
            mask = self._file(row["mask"]) if row["mask"] else None
            found.append(self.labelled(self._file(row["image"]), defect, mask))
        return sorted(found, key=lambda image: image.path)

    def product_of(self, path: Path) -> str:
        """The first folder of the data set."""
        return path.relative_to(self.folder).parts[0]

    def _rows(self, split: str) -> list[dict[str, str]]:
        path = self.folder.joinpath(*SPLIT)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise DataError(
                    f"{path} lacks the column {', '.join(sorted(missing))}: VisA's own file has "
                    f"{','.join(COLUMNS)}"
                )
            return [row for row in reader if row["split"] == split]

    def _file(self, name: str) -> Path:
        return existing(self.folder / name, self.folder.joinpath(*SPLIT))
