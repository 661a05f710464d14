"""The training images as everything after their reading sees them, also when a run is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from onegauge.library.library import Origin
from onegauge.service.imaging.depth import Depth
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, reopen
from onegauge.training.backbones.retrieval import Retrieval, neighbours_of
from onegauge.training.config import TrainConfig
from onegauge.training.data.digest import data_digest
from onegauge.training.data.reading import DESCRIPTORS, RECORD, write_corpus
from onegauge.training.data.selection import Selection
from onegauge.training.data.sequence import spans
from onegauge.training.errors import CheckpointError
from onegauge.training.groups import groups_within
from onegauge.training.progress import Progress


@dataclass(frozen=True)
class Corpus:
    """The P readable pictures of a training folder in sorted order, and their N tiles."""

    paths: tuple[Path, ...]  # of the pictures
    origins: tuple[Origin, ...]  # of the pictures
    parts: np.ndarray  # (P,) that pictures show
    products: np.ndarray  # (P,) of the pictures: for class-aware alignment alone
    pictures: np.ndarray  # (N,) that each image is, or is a tile of
    features: Features  # of N images
    deviations: Tensor  # (N, D)
    quarters: Tensor  # (N, 4, D)
    digest: str  # of names and contents
    depth: Depth  # of files of more than 8 bits
    copies: int  # files left out, as another has the same pixels

    def beside(self, references: np.ndarray) -> Corpus:
        """The same images, and which references (rows) of other groups look most like each."""
        return self._beside(references, self.features.own)

    def apart(self, references: np.ndarray) -> Corpus:
        """The same with other parts alone; where the folder's order tells not those around."""
        parts = self.parts[self.pictures]
        others = self._beside(references, self._groups_of(np.stack([parts, parts], axis=1)))
        alike = references[others.features.neighbours.rows.numpy()]
        folders = [self.paths[picture].parent for picture in self.pictures]
        return self._beside(references, self._groups_of(spans(folders, parts, alike)))

    def _groups_of(self, ends: np.ndarray) -> np.ndarray:
        return groups_within(self.parts[self.pictures], self.features.groups, ends)

    def _beside(self, references: np.ndarray, own: np.ndarray) -> Corpus:
        groups = torch.from_numpy(self.features.sources[references])
        retrieval = Retrieval(self.deviations[references], groups)
        near = neighbours_of(retrieval, self.deviations, torch.from_numpy(own))
        return replace(self, features=self.features.beside(near, own))


def read_corpus(
    selection: Selection, config: TrainConfig, backbone: Backbone, state: Path, progress: Progress
) -> Corpus:
    """Read every image that is selected and run the backbone over it, or reopen `state`.

    Raises DataError when nothing is readable, or too much is not and that is not allowed, or a name
    does not tell the part, BackboneError when features are no numbers, and CheckpointError when the
    images are not those that were read before or `state` is damaged.
    """
    paths = selection.images()
    if not (state / RECORD).exists():  # the listing is as it is before anything is read
        write_corpus(_listing(paths, config.data), config, backbone, state, progress)
    try:
        record = json.loads((state / RECORD).read_text())
        corpus = _reopened(record, selection, backbone, state)
    except (OSError, ValueError, IndexError, KeyError, EOFError, SafetensorError) as exc:
        raise CheckpointError(
            f"cannot resume from {state}: {exc}; remove the run's folder"
        ) from exc
    _refuse_changes(record["listing"], _listing(paths, config.data), config.data)
    return corpus


def _reopened(
    record: Mapping[str, Any], selection: Selection, backbone: Backbone, state: Path
) -> Corpus:
    origins = tuple(Origin(*origin) for origin in record["origins"])
    paths = tuple(selection.root / origin.name for origin in origins)
    pictures = np.repeat(np.arange(len(paths)), record["tiles"])
    groups = np.array(record["groups"])[pictures]
    descriptors = load_file(state / DESCRIPTORS)
    return Corpus(
        paths=paths,
        origins=origins,
        parts=np.array(record["parts"]),
        products=np.array([selection.layout.product_of(path) for path in paths]),
        pictures=pictures,
        features=reopen(state, groups, backbone.mean.device),
        deviations=descriptors["deviations"],
        quarters=descriptors["quarters"],
        digest=data_digest((origin.name, origin.digest) for origin in origins),
        depth=Depth(record["bit_depth"]),
        copies=record["copies"],
    )


def _listing(paths: Sequence[Path], root: Path) -> dict[str, list[int]]:
    """Size and time of each file by its name, quicker to have than a digest of contents."""
    found = {str(path.relative_to(root)): path.stat() for path in paths}
    return {name: [status.st_size, status.st_mtime_ns] for name, status in found.items()}


def _refuse_changes(
    before: Mapping[str, list[int]], now: Mapping[str, list[int]], root: Path
) -> None:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        raise CheckpointError(
            f"images in {root} have changed since the run was started, {len(changed)} in all, "
            f"first {changed[0]}: begin anew with another --out"
        )
