"""One pass over the training files: each is read once, for its pixels, digest and features.

Files are read here. What is found in them is computed by workers, who need not have them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from onegauge.library.library import Origin
from onegauge.service.errors import ImageError
from onegauge.service.imaging.depth import Depth
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.compiled import Compiled, pays
from onegauge.training.backbones.embedding import Embedding, deviations, quarters
from onegauge.training.backbones.features import FeatureWriter, Seen
from onegauge.training.config import TrainConfig
from onegauge.training.data.bit_depth import depth_of
from onegauge.training.data.copies import Originals, near_copies, print_of, require_difference
from onegauge.training.data.dataset import MAX_UNREADABLE, Picture, Unreadable, picture_in
from onegauge.training.errors import BackboneError, DataError
from onegauge.training.groups import numbered, part_by_part, parts_by_name
from onegauge.training.progress import Progress
from onegauge.training.resume import whole

DESCRIPTORS, RECORD = "descriptors.safetensors", "corpus.json"
READERS = 16  # threads, as some files are far away


class _Entry(NamedTuple):
    """What is kept in memory of a picture."""

    path: Path
    digest: str
    width: int
    height: int
    tiles: int
    pixels: bytes  # their digest
    print: np.ndarray

    @classmethod
    def at(cls, path: Path, picture: Picture) -> _Entry:
        """Of the picture in a file."""
        pixels, sides = sha256(picture.pixels.tobytes()).digest(), (picture.width, picture.height)
        return cls(path, picture.digest, *sides, len(picture), pixels, print_of(picture))


class _Found(NamedTuple):
    """What some files hold."""

    entries: list[_Entry]
    unreadable: list[Unreadable]
    batches: list[tuple[Seen, dict[str, Tensor]]]  # of all tiles, with their descriptors


@dataclass(frozen=True)
class _Finder:
    """Decodes files and runs the backbone over them."""

    config: TrainConfig
    depth: Depth
    device: torch.device
    features: Callable[[Tensor], list[Tensor]]  # the backbone, or what computes the same faster

    def __call__(self, files: Sequence[tuple[Path, bytes | Unreadable]]) -> _Found:
        """Raises BackboneError."""
        found, images = _Found([], [], []), []
        for path, content in files:
            picture = self._picture(path, content)
            if isinstance(picture, Unreadable):
                found.unreadable.append(picture)
            else:
                found.entries.append(_Entry.at(path, picture))
                images.extend(picture.pixels)
        for start in range(0, len(images), self.config.batch_size):
            found.batches.append(self._batch(images[start : start + self.config.batch_size]))
        return found

    def _picture(self, path: Path, content: bytes | Unreadable) -> Picture | Unreadable:
        if isinstance(content, Unreadable):
            return content
        try:
            return picture_in(content, self.config.image_size, self.config.tiling, self.depth)
        except ImageError as exc:
            return Unreadable(path, str(exc))

    def _batch(self, images: Sequence[np.ndarray]) -> tuple[Seen, dict[str, Tensor]]:
        """Images, their features as they are stored, and their descriptors, (B, D) each."""
        image = torch.from_numpy(np.stack(images))
        features = self.features(image.to(self.device))
        stages = [stage.half().cpu() for stage in features]
        if not all(stage.isfinite().all() for stage in stages):
            raise BackboneError(
                "the backbone gives features that are no finite numbers in fp16: check its "
                "weights, --backbone-weights, or choose another --backbone"
            )
        looks = {"deviations": deviations(features).cpu(), "quarters": quarters(features).cpu()}
        return Seen(image, stages), looks


def write_corpus(
    listing: Mapping[str, list[int]],
    config: TrainConfig,
    backbone: Backbone,
    state: Path,
    progress: Progress,
) -> None:
    """Read the files below `config.data` that `listing` names, and write all of them to `state`.

    Raises DataError and BackboneError.
    """
    parts = parts_by_name(listing, config.group_by) if config.group_by else None
    paths = [config.data / name for name in listing]
    depth = depth_of(paths, progress)
    device, image = backbone.mean.device, torch.zeros(1, *[config.image_size] * 2, 3).byte()
    features = Compiled.of(backbone, [image]) if pays(len(paths), device) else backbone
    finder = _Finder(config, depth, device, features)
    entries, copies, descriptors = _read(paths, finder, state, progress)
    require_difference(np.stack([entry.print for entry in entries]))
    names, now = [str(entry.path.relative_to(config.data)) for entry in entries], int(time.time())
    if parts is not None:
        shown = groups = numbered([parts[name] for name in names])
    else:
        shown = _found_parts(entries, descriptors["deviations"], progress)
        groups = part_by_part(shown)
    save_file(descriptors, state / DESCRIPTORS)
    record = {
        "origins": [
            Origin(name, entry.digest, entry.width, entry.height, now)
            for name, entry in zip(names, entries, strict=True)
        ],
        "tiles": [entry.tiles for entry in entries],
        "parts": shown.tolist(),
        "groups": groups.tolist(),
        "copies": copies,
        "listing": listing,
        "bit_depth": depth.bits,
    }
    with whole(state / RECORD) as file:  # last: where it is, all has been read
        file.write_text(json.dumps(record))


def _read(
    paths: Sequence[Path], finder: _Finder, state: Path, progress: Progress
) -> tuple[list[_Entry], int, dict[str, Tensor]]:
    """The pictures, how many copies there are besides, and the descriptors (N, …) of all tiles.

    Features go to `state`.
    """
    writer, originals = FeatureWriter(state), Originals()
    kept: list[_Entry] = []
    unreadable: list[Unreadable] = []
    described: list[dict[str, Tensor]] = []
    with progress.step("reading", len(paths)) as step:
        for found in progress.workers.map(finder, _files(paths, finder.config)):
            unreadable += found.unreadable
            new = [originals.add(entry.path, entry.pixels) for entry in found.entries]
            kept += compress(found.entries, new)
            described += _write(found, new, writer)
            read = len(found.entries) + len(found.unreadable)
            step.advance(read, f"{len(unreadable)} unreadable" if unreadable else "")
    _judge(unreadable, len(paths), finder.config, progress)
    originals.tell(len(paths), progress)
    descriptors = {name: torch.cat([part[name] for part in described]) for name in described[0]}
    return kept, len(originals.copies), descriptors


def _files(
    paths: Sequence[Path], config: TrainConfig
) -> Iterator[list[tuple[Path, bytes | Unreadable]]]:
    """Contents of files, some at a time; one at a time where each has many tiles."""
    size = config.batch_size if config.tiling is None else 1
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(paths), size):
            some = paths[start : start + size]
            yield list(zip(some, pool.map(_content, some), strict=True))


def _content(path: Path) -> bytes | Unreadable:
    try:
        return path.read_bytes()
    except OSError as exc:
        return Unreadable(path, str(exc))


def _write(
    found: _Found, new: Sequence[bool], writer: FeatureWriter
) -> Iterator[dict[str, Tensor]]:
    """Store the features of the pictures that are new; the descriptors of these, batch by batch."""
    rows = torch.tensor(np.repeat(np.array(new, bool), [entry.tiles for entry in found.entries]))
    parts = rows.split([len(seen.image) for seen, _ in found.batches])
    for (seen, descriptors), part in zip(found.batches, parts, strict=True):
        writer.write(Seen(seen.image[part], [stage[part] for stage in seen.stages]))
        yield {name: values[part] for name, values in descriptors.items()}


def _found_parts(entries: Sequence[_Entry], looks: Tensor, progress: Progress) -> np.ndarray:
    """The part (P,) of each picture by its print, and by how its tiles (N, D) look on average."""
    if len(entries) < 2:
        return np.arange(len(entries))
    tiles = looks.split([entry.tiles for entry in entries])
    average = torch.stack([part.mean(0) for part in tiles])  # (P, D)
    prints = np.stack([entry.print for entry in entries])
    parts = near_copies(prints, Embedding(average)(average).numpy(), progress)
    _, sizes = np.unique(parts, return_counts=True)
    if sizes.max() > 1:
        progress.say(
            f"{sizes[sizes > 1].sum()} of {len(parts)} images are near-copies, as several shots "
            f"of one part are: they count as {(sizes > 1).sum()} parts, {len(sizes)} in all, and "
            "the false-alarm rate is promised for new parts; --group-by tells by the names what "
            "is of one part"
        )
    return parts


def _judge(
    unreadable: Sequence[Unreadable], total: int, config: TrainConfig, progress: Progress
) -> None:
    """Name what could not be read; refuse where it is too much."""
    for bad in unreadable:
        progress.say(f"warning: skipped {bad.path}: {bad.reason}")
    if len(unreadable) == total:
        raise DataError(f"none of the {total} images in {config.data} can be read")
    if len(unreadable) > MAX_UNREADABLE * total and not config.allow_unreadable:
        raise DataError(
            f"{len(unreadable)} of {total} images in {config.data} cannot be read, more than "
            f"{MAX_UNREADABLE:.0%}; mend or remove them, or insist with --allow-unreadable"
        )
