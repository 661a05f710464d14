"""One run, top to bottom: images → features → detector → references → calibration → checkpoint.

    python -m training train --data DIR --detector patchcore --backbone starter --out RUN

Interrupted by Ctrl-C or otherwise, the same command with --resume goes on where it stopped.
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from onegauge.cores import cores
from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.features import Features
from onegauge.training.backbones.neighbours import comparable
from onegauge.training.checkpoint import RECORD, Checkpoint, Evidence, load, restore_detector, save
from onegauge.training.config import TrainConfig
from onegauge.training.data.corpus import Corpus, corrupted_deviations, read_corpus
from onegauge.training.data.dataset import products_of, training_selection
from onegauge.training.data.synthesis import add_anomaly
from onegauge.training.detectors import DETECTORS, Detector, FitOptions, raw_maps
from onegauge.training.errors import BackboneError, CheckpointError, DataError, TrainingError
from onegauge.training.gauge.alignments import ALIGNMENTS
from onegauge.training.gauge.calibration import images_needed
from onegauge.training.gauge.places import Places
from onegauge.training.gauge.scoring import inspected_part
from onegauge.training.groups import one_of_each
from onegauge.training.progress import Progress
from onegauge.training.resume import discard, open_state, record_of, refuse_changes, whole

FEWEST_IMAGES = 10
VERIFICATION_IMAGES = 8


def train(config: TrainConfig) -> Checkpoint:
    """Train a run into `config.out` and return it. Raises a TrainingError."""
    progress = Progress()
    config = replace(config, data=config.data.resolve())
    if config.resume and (config.out / RECORD).exists():
        return _finished(config, progress)
    try:
        return _train(config, progress)
    except KeyboardInterrupt:
        progress.say("interrupted: the same command with --resume goes on where it stopped")
        raise


def _finished(config: TrainConfig, progress: Progress) -> Checkpoint:
    """The run as it is, if it is the one that is asked for."""
    checkpoint = load(config.out)
    refuse_changes(config, record_of(checkpoint.config))
    progress.say(f"{config.out} is finished already")
    return checkpoint


def _train(config: TrainConfig, progress: Progress) -> Checkpoint:
    started, device = time.monotonic(), choose_device(config.device)
    require_enough(len(training_selection(config.data, config.choice).show()), config)
    torch.manual_seed(config.seed)
    backbone = load_backbone(
        config.backbone,
        config.stages,
        config.backbone_weights,
        image_size=config.image_size,
        recentred=config.recentred,
    ).to(device)
    backbone.require_size(config.image_size)
    DETECTORS[config.detector](backbone)  # raises if they do not suit
    side = config.image_size // backbone.strides[0]  # of the maps
    inspected = None if config.mask is None else inspected_part(config.mask, side)
    state = open_state(config)
    try:
        corpus = read_corpus(config, backbone, state, progress)
        _require_parts(corpus, config)
        fit, held_out = _rows(corpus, config, progress)
        products = np.array(products_of(corpus.paths, config.data))[corpus.pictures]  # (N,)
        verification = _verification_images(corpus.features, held_out, config)
        detector = _fit(config, backbone, corpus.features.subset(fit), state, progress)
        places = Places(sum(backbone.channels)).to(device)
        places.fit(corpus.features.subset(fit))
        known = references(fit, config, progress)
        groups = torch.from_numpy(corpus.features.sources[known])
        comparable(groups, 1)  # raises where there is nothing to compare an image with
        evidence = Evidence(
            maps=detector.out_of_fold(corpus.features.subset(known), progress),
            deviations=corpus.deviations[known],
            corrupted=_corrupted(corpus.features.subset(known), backbone, config, progress),
            quarters=corpus.quarters[known],
            places=places.compact(corpus.features.subset(known), progress),
            calibration_maps=raw_maps(detector, corpus.features.subset(held_out), progress),
            calibration_deviations=corpus.deviations[held_out],
            calibration_quarters=corpus.quarters[held_out],
            calibration_places=places.compact(corpus.features.subset(held_out), progress),
            groups=groups,
            calibration_pictures=torch.from_numpy(corpus.pictures[held_out]),
            inspected=inspected,
        )
        _require_numbers(evidence.maps, [corpus.paths[i] for i in corpus.pictures[known]])
        checkpoint = Checkpoint(
            config,
            backbone,
            detector,
            places,
            evidence,
            tuple(products[known].tolist()),
            tuple(products[held_out].tolist()),
            corpus.digest,
            len(np.unique(corpus.pictures[fit])),
            int(time.time()),
            corpus.depth,
            dict(corpus.contents[picture] for picture in np.unique(corpus.pictures[held_out])),
            tuple(corpus.contents[picture][0] for picture in np.unique(corpus.pictures[fit])),
        )
        checkpoint.gauge()  # raises where the images cannot be calibrated on: no run, then
    except (BackboneError, DataError):
        discard(state)
        raise
    save(checkpoint, verification)
    shutil.rmtree(state)
    _summarise(checkpoint, time.monotonic() - started, progress)
    return checkpoint


def _require_numbers(maps: Tensor, paths: Sequence[Path]) -> None:
    """Raise DataError for an image that nothing was left to compare with, out of fold."""
    if len(alone := (~maps.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()):
        raise DataError(
            f"{paths[alone[0]]} can be compared with no other image: all that the detector "
            "remembers is of its part; train on more parts that differ, or raise --bank-size"
        )


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one. Raises TrainingError for a device that there is not.

    torch has no more threads than there are cores to use, which it does not find out by itself.
    """
    torch.set_num_threads(min(torch.get_num_threads(), cores()))
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as exc:
        raise TrainingError(f"device {name!r} is not available here: {exc}") from exc


def require_enough(images: int, config: TrainConfig, why: str = "") -> None:
    """Raise DataError, which says why, for so few images that nothing can be learnt from them."""
    if images < FEWEST_IMAGES:
        raise DataError(
            f"{images} images are too few{why}: training needs {FEWEST_IMAGES}, and the "
            f"false-alarm rate {config.false_alarm_rate:g} needs "
            f"{2 * images_needed(config.false_alarm_rate)}"
        )


def _require_parts(corpus: Corpus, config: TrainConfig) -> None:
    """Raise DataError where files are many, but of too few different images or parts."""
    parts, images = len(np.unique(corpus.groups)), len(corpus.paths)
    told = []
    if corpus.copies:
        told.append(f"{corpus.copies} files are copies of others")
    if parts < images:
        told.append(
            f"{images} images show {parts} parts, each of which counts once; if that is not so, "
            "--group-by tells the part of an image"
        )
    require_enough(parts, config, f" ({'; '.join(told)})" if told else "")


def _rows(corpus: Corpus, config: TrainConfig, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """The images, tiles as they may be, to fit on, and those of one picture of each other part."""
    fit, held_out = split(len(np.unique(corpus.groups)), config, progress)
    chosen = one_of_each(corpus.groups, held_out, config.seed)
    rows = np.isin(corpus.features.sources, fit), np.isin(corpus.pictures, chosen)
    return np.flatnonzero(rows[0]), np.flatnonzero(rows[1])


def split(parts: int, config: TrainConfig, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Parts to fit on and parts to calibrate on, drawn at random; says what the promise needs.

    The calibration part grows beyond its fraction, up to half, where the target false-alarm rate
    could not be promised otherwise.
    """
    needed = images_needed(config.false_alarm_rate)
    held_out = max(round(config.calibration_fraction * parts), min(needed, parts // 2))
    if held_out < needed:
        progress.say(
            f"warning: {held_out} calibration images promise a false-alarm rate of "
            f"{1 / (held_out + 1):.3g}, not {config.false_alarm_rate:g}, which needs {needed}: "
            f"train on at least {2 * needed} images, each of another part"
        )
    order = np.random.default_rng(config.seed).permutation(parts)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def references(fit: np.ndarray, config: TrainConfig, progress: Progress) -> np.ndarray:
    """The images fitted on that alignment and novelty compare with, drawn at random if too many."""
    if len(fit) <= config.references:
        return fit
    progress.say(
        f"{config.references} of the {len(fit)} images fitted on are kept to compare with: "
        "--references"
    )
    draw = np.random.default_rng(config.seed).choice(len(fit), config.references, replace=False)
    return fit[np.sort(draw)]


def _corrupted(
    features: Features, backbone: Backbone, config: TrainConfig, progress: Progress
) -> Tensor | None:
    """What the run's alignment learns of synthetic anomalies, if it does."""
    if not ALIGNMENTS[config.alignment].learns_anomalies:
        return None
    return corrupted_deviations(features, backbone, config.seed, progress)


def _fit(
    config: TrainConfig, backbone: Backbone, features: Features, state: Path, progress: Progress
) -> Detector:
    """The fitted detector, from the state where it was fitted before."""
    fitted = state / "detector.safetensors"
    if not fitted.exists():
        detector = DETECTORS[config.detector](backbone)
        options = FitOptions(
            epochs=config.epochs or detector.advised_epochs(len(features), config.batch_size),
            batch_size=config.batch_size,
            bank_size=config.bank_size,
            seed=config.seed,
            state=state / "fit.safetensors",
        )
        detector.to(backbone.mean.device).fit(features, options, progress)
        tensors = {k: v.cpu().contiguous() for k, v in detector.state_dict().items()}
        with whole(fitted) as file:
            save_file(tensors, file)
    try:
        tensors = load_file(fitted)
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(f"cannot resume from {fitted}: {exc}; remove it to fit anew") from exc
    return restore_detector(config.detector, backbone, tensors).to(backbone.mean.device)


def _verification_images(features: Features, held_out: np.ndarray, config: TrainConfig) -> Tensor:
    """A few held-out images, clean and with a synthetic anomaly, uint8 (V, H, W, 3)."""
    rng = np.random.default_rng(config.seed)
    rows = held_out[:: max(1, len(held_out) // VERIFICATION_IMAGES)][:VERIFICATION_IMAGES]
    clean = list(features.images[rows])
    return torch.from_numpy(np.stack([*clean, *(add_anomaly(image, rng) for image in clean)]))


def _summarise(checkpoint: Checkpoint, seconds: float, progress: Progress) -> None:
    """What was trained, how long it took and how much memory at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, on macOS bytes
    gigabytes = peak / (1e9 if sys.platform == "darwin" else 1e6)
    progress.say(
        f"{checkpoint.config.detector} on {checkpoint.config.backbone}: fitted on "
        f"{checkpoint.images} images, calibrated on {checkpoint.calibration_images} "
        f"for a false-alarm rate of {checkpoint.false_alarm_rate:.3g} and a novelty rate of "
        f"{checkpoint.novelty_rate:.3g}; "
        f"{seconds:.0f} s, {gigabytes:.1f} GB of memory at most; {checkpoint.config.out}"
    )
