"""Real-IAD: Wang et al., "Real-IAD: A Real-World Multi-View Dataset for Benchmarking Versatile
Industrial Anomaly Detection" (CVPR 2024).

    realiad_jsons/audiojack.json        or realiad_jsons/realiad_jsons/audiojack.json
    realiad_1024/audiojack/OK/S0001/audiojack_0001_OK_C1_20231021130235.jpg
    realiad_1024/audiojack/NG/BX/S0001/audiojack_0001_NG_BX_C1_20231023111538.jpg
    realiad_1024/audiojack/NG/BX/S0001/audiojack_0001_NG_BX_C1_20231023111538.png

A file of `realiad_jsons` is an object of `meta`, with the `prefix` of its paths and the
`normal_class`, and of the lists `train` and `test`, whose entries have `category`,
`anomaly_class`, `image_path` and `mask_path`. Folders and keys are those of the authors' own
reader, and so is the label: an image is normal by its class, and also where it has no mask, as a
part's defect does not show in every view.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from onegauge.training.data.layouts.layout import GOOD, Layout, TestImage, Tree, existing
from onegauge.training.errors import DataError

LISTINGS = "realiad_jsons"
IMAGES = re.compile(r"realiad_(raw|\d+)")  # the resolutions that are published


class RealIad(Layout):
    """All five views of all products that have a listing, at the one resolution that is there."""

    name = "Real-IAD"

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        listed = (file.parts[: file.parts.index(LISTINGS)] for file in self._listings(tree))
        self.images = _images(self.base(Path(*parts) for parts in listed))

    @classmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether there is a `realiad_jsons/*.json`."""
        return bool(cls._listings(tree))

    def training(self) -> list[Path]:
        """The normal images of `train`."""
        return sorted(path for path, defect, _ in self._entries("train") if defect == GOOD)

    def test(self) -> list[TestImage]:
        """The images of `test`; a defect is called by its two letters."""
        found = [self.labelled(*entry) for entry in self._entries("test")]
        return sorted(found, key=lambda image: image.path)

    def product_of(self, path: Path) -> str:
        """The folder below that of the images."""
        return path.relative_to(self.images).parts[0]

    @staticmethod
    def _listings(tree: Tree) -> list[Path]:
        """Not those of `realiad_jsons_sv` and others that the archive has in the same folder."""
        return [f for f in tree.files if f.parent.name == LISTINGS and f.suffix == ".json"]

    def _entries(self, split: str) -> list[tuple[Path, str, Path | None]]:
        """Image, defect and mask of every entry of all listings."""
        found: list[tuple[Path, str, Path | None]] = []
        for file in self._listings(self.tree):
            listing = self.tree.root / file
            try:
                found += [
                    (
                        existing(self.images / image, listing),
                        defect,
                        existing(self.images / mask, listing) if mask else None,
                    )
                    for image, defect, mask in _read(json.loads(listing.read_bytes()), split)
                ]
            except (ValueError, KeyError, TypeError) as exc:
                raise DataError(
                    f"{listing} is not a listing of Real-IAD ({type(exc).__name__}: {exc}): "
                    "unpack realiad_jsons.zip anew"
                ) from exc
        return found


def _images(folder: Path) -> Path:
    """The folder of the one resolution, or the data set itself where there is none."""
    found = sorted(f for f in folder.iterdir() if IMAGES.fullmatch(f.name) and f.is_dir())
    if len(found) > 1:
        raise DataError(
            f"{folder} holds {' and '.join(f.name for f in found)}: leave one resolution beside "
            f"{LISTINGS}"
        )
    return found[0] if found else folder


def _read(listing: dict[str, Any], split: str) -> list[tuple[Path, str, Path | None]]:
    """Image, defect and mask as a listing names them, below the folder of the images."""
    prefix, normal = Path(listing["meta"]["prefix"]), listing["meta"]["normal_class"]
    found: list[tuple[Path, str, Path | None]] = []
    for entry in listing[split]:
        image, mask, kind = entry["image_path"], entry["mask_path"], entry["anomaly_class"]
        if kind == normal or mask is None:
            found.append((prefix / image, GOOD, None))
        else:
            found.append((prefix / image, kind, prefix / mask))
    return found
