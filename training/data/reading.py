"""One pass over the training files: each is read once, for its pixels, digest and features."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from onegauge.library.library import Origin
from onegauge.service.imaging.depth import Depth
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import Embedding, deviations, quarters
from onegauge.training.backbones.features import FeatureWriter, Seen
from onegauge.training.config import TrainConfig
from onegauge.training.data.bit_depth import depth_of
from onegauge.training.data.copies import Originals, near_copies, print_of, require_difference
from onegauge.training.data.dataset import MAX_UNREADABLE, Picture, Unreadable, readable
from onegauge.training.errors import BackboneError, DataError
from onegauge.training.groups import numbered, part_by_part, parts_by_name
from onegauge.training.progress import Progress
from onegauge.training.resume import whole

DESCRIPTORS, RECORD = "descriptors.safetensors", "corpus.json"
PICTURES_OF_TILES = 2  # in memory at a time


@dataclass(frozen=True)
class _Original:
    """What is kept in memory of a picture."""

    origin: Origin
    tiles: int
    print: np.ndarray


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
    originals, copies, descriptors = _read(paths, depth, config, backbone, state, progress)
    require_difference(np.stack([original.print for original in originals]))
    if parts is not None:
        shown = groups = numbered([parts[original.origin.name] for original in originals])
    else:
        shown = _found_parts(originals, descriptors["deviations"], progress)
        groups = part_by_part(shown)
    save_file(descriptors, state / DESCRIPTORS)
    record = {
        "origins": [original.origin for original in originals],
        "tiles": [original.tiles for original in originals],
        "parts": shown.tolist(),
        "groups": groups.tolist(),
        "copies": copies,
        "listing": listing,
        "bit_depth": depth.bits,
    }
    with whole(state / RECORD) as file:  # last: where it is, all has been read
        file.write_text(json.dumps(record))


def _read(
    paths: Sequence[Path],
    depth: Depth,
    config: TrainConfig,
    backbone: Backbone,
    state: Path,
    progress: Progress,
) -> tuple[list[_Original], int, dict[str, Tensor]]:
    """The pictures, how many copies there are besides, and the descriptors (N, …) of all tiles.

    Features go to `state`.
    """
    writer, originals = FeatureWriter(state), Originals()
    kept: list[_Original] = []
    unreadable: list[Unreadable] = []
    described: list[dict[str, Tensor]] = []
    with progress.step("reading", len(paths)) as step, torch.inference_mode():
        for batch in _batches(paths, config, depth):
            unreadable += [x for _, x in batch if isinstance(x, Unreadable)]
            good = [(p, x) for p, x in batch if isinstance(x, Picture) and originals.add(p, x)]
            images = [image for _, picture in good for image in picture.pixels]
            for start in range(0, len(images), config.batch_size):
                part = images[start : start + config.batch_size]
                described.append(_describe(part, backbone, writer))
            for path, picture in good:
                name, sides = str(path.relative_to(config.data)), (picture.width, picture.height)
                origin = Origin(name, picture.digest, *sides, int(time.time()))
                kept.append(_Original(origin, len(picture), print_of(picture)))
            step.advance(len(batch), f"{len(unreadable)} unreadable" if unreadable else "")
    _judge(unreadable, len(paths), config, progress)
    originals.tell(len(paths), progress)
    descriptors = {name: torch.cat([part[name] for part in described]) for name in described[0]}
    return kept, len(originals.copies), descriptors


def _found_parts(originals: Sequence[_Original], looks: Tensor, progress: Progress) -> np.ndarray:
    """The part (P,) of each picture by its print, and by how its tiles (N, D) look on average."""
    if len(originals) < 2:
        return np.arange(len(originals))
    tiles = looks.split([original.tiles for original in originals])
    average = torch.stack([part.mean(0) for part in tiles])  # (P, D)
    prints = np.stack([original.print for original in originals])
    parts = near_copies(prints, Embedding(average)(average), progress)
    _, sizes = np.unique(parts, return_counts=True)
    if sizes.max() > 1:
        progress.say(
            f"{sizes[sizes > 1].sum()} of {len(parts)} images are near-copies, as several shots "
            f"of one part are: they count as {(sizes > 1).sum()} parts, {len(sizes)} in all, and "
            "the false-alarm rate is promised for new parts; --group-by tells by the names what "
            "is of one part"
        )
    return parts


def _describe(
    images: Sequence[np.ndarray], backbone: Backbone, writer: FeatureWriter
) -> dict[str, Tensor]:
    """Store the features of a batch and return its descriptors, (B, D) each."""
    image = torch.from_numpy(np.stack(images)).to(backbone.mean.device)
    features = backbone(image)
    if not all(stage.half().isfinite().all() for stage in features):
        raise BackboneError(
            "the backbone gives features that are no finite numbers in fp16: check its weights, "
            "--backbone-weights, or choose another --backbone"
        )
    writer.write(Seen(image, features))
    return {"deviations": deviations(features).cpu(), "quarters": quarters(features).cpu()}


def _batches(
    paths: Sequence[Path], config: TrainConfig, depth: Depth
) -> Iterator[list[tuple[Path, Picture | Unreadable]]]:
    """Few pictures at a time where each has many tiles."""
    size = config.batch_size if config.tiling is None else PICTURES_OF_TILES
    for start in range(0, len(paths), size):
        some = paths[start : start + size]
        yield list(readable(some, config.image_size, config.tiling, depth))


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
