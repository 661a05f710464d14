"""All training images, read once: frozen features, descriptors, and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from onegauge.service.imaging.depth import Depth
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import Embedding, deviations, quarters
from onegauge.training.backbones.features import Features, FeatureWriter, Seen, reopen
from onegauge.training.config import TrainConfig
from onegauge.training.data.bit_depth import depth_of
from onegauge.training.data.copies import Originals, near_copies, print_of, require_difference
from onegauge.training.data.dataset import (
    MAX_UNREADABLE,
    Picture,
    Unreadable,
    content_digest,
    count_tiles,
    digest,
    readable,
    training_images,
)
from onegauge.training.data.synthesis import add_anomaly
from onegauge.training.errors import BackboneError, CheckpointError, DataError
from onegauge.training.groups import numbered, parts_by_name
from onegauge.training.progress import Progress
from onegauge.training.resume import whole

PICTURES_OF_TILES = 2  # in memory at a time
AT_A_TIME = 16


@dataclass(frozen=True)
class Corpus:
    """The P readable pictures of a training folder in sorted order, and their tiles."""

    paths: tuple[Path, ...]  # of the pictures
    copies: int  # files left out, as another has the same pixels
    groups: np.ndarray  # (P,) of pictures that show one part
    pictures: np.ndarray  # (N,) that each image is, or is a tile of
    features: Features  # of N images
    deviations: Tensor  # (N, D)
    quarters: Tensor  # (N, 4, D)
    digest: str  # of names and contents
    depth: Depth  # of files of more than 8 bits
    contents: tuple[tuple[str, str], ...]  # of the pictures: name below the folder, and SHA-256


def read_corpus(config: TrainConfig, backbone: Backbone, state: Path, progress: Progress) -> Corpus:
    """Read every image below `config.data` and run the backbone over it, or reopen `state`.

    Raises DataError when nothing is readable, or too much is not and that is not allowed, or a name
    does not tell the part, BackboneError when features are no numbers, and CheckpointError when the
    images are not those that were read before or `state` is damaged.
    """
    paths = training_images(config.data, config.choice)
    if not (state / "corpus.json").exists():
        _write_corpus(paths, config, backbone, state, progress)
    try:
        record = json.loads((state / "corpus.json").read_text())
        names, listing = record["names"], record["listing"]
        pictures = np.repeat(np.arange(len(names)), record["tiles"])
        groups = np.array(record["groups"])
        descriptors = load_file(state / "descriptors.safetensors")
        corpus = Corpus(
            tuple(config.data / name for name in names),
            record["copies"],
            groups,
            pictures,
            reopen(state, groups[pictures], backbone.mean.device),
            descriptors["deviations"],
            descriptors["quarters"],
            record["digest"],
            Depth(record.get("bit_depth")),
            tuple(zip(names, record["contents"], strict=True)),
        )
    except (OSError, ValueError, IndexError, KeyError, EOFError, SafetensorError) as exc:
        raise CheckpointError(
            f"cannot resume from {state}: {exc}; remove the run's folder"
        ) from exc
    _refuse_changes(listing, _listing(paths, config.data), config.data)
    return corpus


@torch.inference_mode()
def corrupted_deviations(
    features: Features, backbone: Backbone, seed: int, progress: Progress
) -> Tensor:
    """Deviations (N, D) of the images in view, each with a synthetic anomaly of its own."""
    found = []
    with progress.step("anomalies", len(features)) as step:
        for start in range(0, len(features), AT_A_TIME):
            some = features.rows[start : start + AT_A_TIME]
            rngs = (np.random.default_rng((seed, int(row))) for row in some)
            images = (features.images[row] for row in some)
            harmed = np.stack([add_anomaly(x, rng) for x, rng in zip(images, rngs, strict=True)])
            found.append(deviations(backbone(torch.from_numpy(harmed).to(features.device))).cpu())
            step.advance(len(some))
    return torch.cat(found)


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


def _write_corpus(
    paths: Sequence[Path],
    config: TrainConfig,
    backbone: Backbone,
    state: Path,
    progress: Progress,
) -> None:
    listing = _listing(paths, config.data)  # as it is before anything is read
    parts = parts_by_name(listing, config.group_by) if config.group_by else None
    depth = depth_of(paths, progress)
    writer = FeatureWriter(state, sum(count_tiles(path, config.tiling) for path in paths))
    names: list[str] = []
    tiles: list[int] = []  # of each picture
    prints: list[np.ndarray] = []  # of each picture
    unreadable: list[Unreadable] = []
    originals = Originals()
    pooled: list[dict[str, Tensor]] = []
    with progress.step("reading", len(paths)) as step, torch.inference_mode():
        for batch in _batches(paths, config, depth):
            unreadable += [x for _, x in batch if isinstance(x, Unreadable)]
            good = [(p, x) for p, x in batch if isinstance(x, Picture) and originals.add(p, x)]
            images = [image for _, picture in good for image in picture.pixels]
            for start in range(0, len(images), config.batch_size):
                part = images[start : start + config.batch_size]
                pooled.append(_describe(part, backbone, writer))
            names += [str(p.relative_to(config.data)) for p, _ in good]
            tiles += [len(x) for _, x in good]
            prints += [print_of(x) for _, x in good]
            step.advance(len(batch), f"{len(unreadable)} unreadable" if unreadable else "")
    _judge(unreadable, len(paths), config, progress)
    originals.tell(len(paths), progress)
    require_difference(np.stack(prints))
    descriptors = {name: torch.cat([batch[name] for batch in pooled]) for name in pooled[0]}
    if parts is not None:
        groups = numbered([parts[name] for name in names])
    else:
        groups = _found_groups(prints, descriptors["deviations"], tiles, progress)
    save_file(descriptors, state / "descriptors.safetensors")
    contents = [content_digest(config.data / name) for name in names]
    record = {
        "names": names,
        "tiles": tiles,
        "groups": groups.tolist(),
        "copies": len(originals.copies),
        "digest": digest(zip(names, contents, strict=True)),
        "contents": contents,
        "listing": listing,
        "bit_depth": depth.bits,
    }
    with whole(state / "corpus.json") as file:  # last: where it is, all has been read
        file.write_text(json.dumps(record))


def _found_groups(
    prints: Sequence[np.ndarray], looks: Tensor, tiles: Sequence[int], progress: Progress
) -> np.ndarray:
    """The group (P,) of each picture by its print, and by how its tiles (N, D) look on average."""
    if len(prints) < 2:
        return np.arange(len(prints))
    average = torch.stack([part.mean(0) for part in looks.split(list(tiles))])  # (P, D)
    groups = near_copies(np.stack(prints), Embedding(average)(average), progress)
    _, sizes = np.unique(groups, return_counts=True)
    if sizes.max() > 1:
        progress.say(
            f"{sizes[sizes > 1].sum()} of {len(groups)} images are near-copies, as several shots "
            f"of one part are: they count as {(sizes > 1).sum()} parts, {len(sizes)} in all, and "
            "the false-alarm rate is promised for new parts; --group-by tells by the names what "
            "is of one part"
        )
    return groups


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
