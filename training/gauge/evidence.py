"""What a run keeps of the normal images that its gauge is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onegauge.library import likeness
from onegauge.library.library import packed, set_apart
from onegauge.library.suspicion import ODDEST, suspicion
from onegauge.library.thumbnails import thumbnail
from onegauge.training.backbones.retrieval import Retrieval, neighbours_of
from onegauge.training.data.corpus import Corpus
from onegauge.training.detectors import Detector
from onegauge.training.errors import DataError
from onegauge.training.gauge.scoring import Scoring
from onegauge.training.gauge.split import Split
from onegauge.training.progress import Progress


@dataclass(frozen=True)
class Evidence:
    """Raw maps and descriptors of T normal images: the references, and those calibrated on.

    Where each image is scored as if nothing had seen it, the same images are both. Those that the
    threshold is set by are there a second time where they score otherwise beside other parts alone,
    or apart from those around them, of which the folder's order tells.
    """

    maps: Tensor  # (T, h, w) fp16, out of fold
    deviations: Tensor  # (T, D)
    quarters: Tensor  # (T, 4, D)
    parts: Tensor  # (T,) that each shows, told or found
    groups: Tensor  # (T,) that each is of: a part that was told, or a picture with its tiles
    own: Tensor  # (T, 2) the first and the last group that must not tell how each scores
    pictures: Tensor  # (T,) that each is, or is a tile of
    products: tuple[str, ...]  # (T,) from the folders' names
    references: Tensor  # (N,) rows of what new images are compared with
    oddness: Tensor  # (N,) fp32 scores of their plain maps
    held_out: Tensor  # (n,) rows of what is calibrated on, of one picture of a part each
    thumbnails: Tensor  # uint8, JPEG files of the references one after another
    thumbnail_ends: Tensor  # (N,) where each ends
    inspected: Tensor | None = None  # (h, w) bool, the pixels of maps that count; None: all

    @property
    def calibration_images(self) -> int:
        """How many pictures were calibrated on, each of another part."""
        return len(self.pictures[self.held_out].unique())

    @property
    def leaves_one_out(self) -> bool:
        """Whether what is calibrated on is compared with, too, as if nothing had seen its part."""
        return bool(torch.isin(self.groups[self.held_out], self.groups[self.references]).any())

    @property
    def apart(self) -> Tensor:
        """Rows (N,) of the references as they set the threshold, as far as they do."""
        sides = (self.references, self.held_out, self.pictures)
        return torch.from_numpy(set_apart(*(side.numpy() for side in sides)))

    @property
    def suspicion(self) -> np.ndarray:
        """How little each reference is like those most like it, (N,); see `suspicion`."""
        looks, groups = self.deviations[self.references], self.groups[self.references]
        near = neighbours_of(Retrieval(looks, groups), looks, self.own[self.references])
        neighbours = likeness.Neighbours(*(part.numpy() for part in near))
        return suspicion(self.oddness.numpy(), neighbours, self.oddness.numpy())

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def products_of(self, rows: Tensor) -> tuple[str, ...]:
        """The products of some rows."""
        return tuple(self.products[row] for row in rows.tolist())

    def other_products(self, products: Sequence[str]) -> Tensor:
        """Which references (B, N) are not of the products (B,)."""
        known = np.array(self.products_of(self.references))
        return torch.from_numpy(np.array(products)[:, None] != known)


def gather(
    corpus: Corpus,
    split: Split,
    detector: Detector,
    inspected: Tensor | None,
    progress: Progress,
) -> Evidence:
    """Look at the references and the images held out with what was fitted.

    Raises DataError for an image that can be compared with no other one.
    """
    known, apart = split.references, corpus.apart(split.references)
    others = (apart.features.own != corpus.features.own).any(1)
    again = split.held_out[others[split.held_out] | ~np.isin(split.held_out, known)]
    sides = (corpus.features, known), (apart.features, again)
    maps = [detector.out_of_fold(side.subset(rows), progress) for side, rows in sides if len(rows)]
    kept = np.concatenate([known, again])  # rows of the corpus
    plain = detector.plain_maps(maps[0]).float()
    place = np.empty(len(others), int)
    place[known] = np.arange(len(known))
    place[again] = len(known) + np.arange(len(again))
    evidence = Evidence(
        maps=torch.cat(maps),
        deviations=corpus.deviations[kept],
        quarters=corpus.quarters[kept],
        parts=torch.from_numpy(corpus.parts[corpus.pictures[kept]]),
        groups=torch.from_numpy(corpus.features.sources[kept]),
        own=torch.from_numpy(np.concatenate([side.own[rows] for side, rows in sides])),
        pictures=torch.from_numpy(corpus.pictures[kept]),
        products=tuple(corpus.products[corpus.pictures[kept]].tolist()),
        references=torch.arange(len(known)),
        oddness=Scoring(ODDEST, inspected)(plain),
        held_out=torch.from_numpy(place[split.held_out]),
        **_thumbnails(corpus.features.images, known),
        inspected=inspected,
    )
    _require_numbers(evidence.maps, corpus, kept)
    return evidence


def _thumbnails(images: np.ndarray, rows: np.ndarray) -> dict[str, Tensor]:
    """Small pictures of some of the images uint8 (N, H, W, 3), for who looks at them later."""
    files = packed([thumbnail(images[row]) for row in rows])
    return {name: torch.from_numpy(array) for name, array in files.items()}


def _require_numbers(maps: Tensor, corpus: Corpus, rows: np.ndarray) -> None:
    """Raise DataError for an image that nothing was left to compare with, out of fold."""
    alone = (~maps.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
    if alone:
        raise DataError(
            f"{corpus.paths[corpus.pictures[rows[alone[0]]]]} can be compared with no other image: "
            "all that the detector remembers is of its part; train on more parts that differ, or "
            "raise --bank-size"
        )
