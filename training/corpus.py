"""All training images, read once: frozen features, descriptors, and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.backbone import Backbone
from training.config import TrainConfig
from training.dataset import MAX_UNREADABLE, Unreadable, readable, training_images
from training.embedding import deviations, means
from training.errors import DataError
from training.features import Features, FeatureWriter, reopen
from training.progress import Progress
from training.synthesis import add_anomaly


@dataclass(frozen=True)
class Corpus:
    """The readable images of a training folder in sorted order."""

    paths: tuple[Path, ...]
    features: Features  # of N images
    deviations: Tensor  # (N, D)
    corrupted: Tensor  # (N, D) deviations of the same images with a synthetic anomaly
    means: Tensor  # (N, D)


def read_corpus(config: TrainConfig, backbone: Backbone, state: Path, progress: Progress) -> Corpus:
    """Read every image below `config.data` and run the backbone over it, or reopen `state`.

    Raises DataError when nothing is readable, or too much is not and that is not allowed.
    """
    if not (state / "corpus.json").exists():
        _write_corpus(config, backbone, state, progress)
    tensors = load_file(state / "descriptors.safetensors")
    names = json.loads((state / "corpus.json").read_text())
    return Corpus(
        tuple(config.data / name for name in names),
        reopen(state, len(names), backbone.mean.device),
        **tensors,
    )


def _write_corpus(config: TrainConfig, backbone: Backbone, state: Path, progress: Progress) -> None:
    paths = training_images(config.data)
    writer = FeatureWriter(state, len(paths))
    names: list[str] = []
    unreadable: list[Unreadable] = []
    pooled: list[dict[str, Tensor]] = []
    with progress.step("reading", len(paths)) as step, torch.inference_mode():
        for batch in _batches(paths, config.image_size, config.batch_size):
            good = [(p, x) for p, x in batch if not isinstance(x, Unreadable)]
            unreadable += [x for _, x in batch if isinstance(x, Unreadable)]
            if good:
                pooled.append(_describe([x for _, x in good], len(names), config, backbone, writer))
                names += [str(p.relative_to(config.data)) for p, _ in good]
            step.advance(len(batch), f"{len(unreadable)} unreadable" if unreadable else "")
    _judge(unreadable, len(paths), config, progress)
    whole = {name: torch.cat([batch[name] for batch in pooled]) for name in pooled[0]}
    save_file(whole, state / "descriptors.safetensors")
    (state / "corpus.json").write_text(json.dumps(names))


def _describe(
    images: Sequence[np.ndarray],
    first: int,
    config: TrainConfig,
    backbone: Backbone,
    writer: FeatureWriter,
) -> dict[str, Tensor]:
    """Store the features of a batch and return its descriptors, (B, D) each."""
    rngs = [np.random.default_rng((config.seed, first + i)) for i in range(len(images))]
    damaged = [add_anomaly(x, rng) for x, rng in zip(images, rngs, strict=True)]
    device = backbone.mean.device
    features = backbone(torch.from_numpy(np.stack(images)).to(device))
    writer.write(features)
    harmed = backbone(torch.from_numpy(np.stack(damaged)).to(device))
    return {
        "deviations": deviations(features).cpu(),
        "corrupted": deviations(harmed).cpu(),
        "means": means(features).cpu(),
    }


def _batches(
    paths: Sequence[Path], size: int, batch: int
) -> Iterator[list[tuple[Path, np.ndarray | Unreadable]]]:
    for start in range(0, len(paths), batch):
        yield list(readable(paths[start : start + batch], size))


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
