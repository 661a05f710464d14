"""One run, top to bottom: images → features → detector → evidence → gauge → checkpoint.

    python -m onegauge train --data DIR --detector gallery --backbone starter --out RUN

Interrupted by Ctrl-C or otherwise, the same command with --resume goes on where it stopped.
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from onegauge.cores import cores
from onegauge.library.suspicion import most_suspicious
from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.features import Features
from onegauge.training.checkpoint import RECORD, Checkpoint, load, restore_detector, save
from onegauge.training.config import TrainConfig
from onegauge.training.data.corpus import Corpus, read_corpus
from onegauge.training.data.dataset import training_selection
from onegauge.training.data.synthesis import add_anomaly
from onegauge.training.detectors import DETECTORS, Detector, FitOptions
from onegauge.training.distributed import leads, size, together, wait
from onegauge.training.errors import (
    BackboneError,
    CheckpointError,
    ConfigError,
    DataError,
    TrainingError,
)
from onegauge.training.gauge.evidence import gather
from onegauge.training.gauge.gauge import build_gauge
from onegauge.training.gauge.scoring import inspected_part
from onegauge.training.gauge.split import (
    Split,
    leaves_one_out,
    require_enough,
    split_corpus,
)
from onegauge.training.progress import Progress
from onegauge.training.resume import discard, open_state, record_of, refuse_changes, whole
from onegauge.training.workers import Here, Workers

VERIFICATION_IMAGES = 8
NAMED = 5  # of the images left out; the run has all names


def train(config: TrainConfig, workers: Workers | None = None) -> Checkpoint:
    """Train a run into `config.out` and return it. Raises a TrainingError.

    Of several processes that torchrun has started the first makes the run, and all fit.
    """
    with together(config.device):
        device = choose_device(config.device)
        progress = Progress(workers or Here(device), quiet=not leads())
        progress.workers.require(device)
        _require_gradient(config)
        images = size() * config.batch_size  # of a step
        config = replace(config, data=config.data.resolve(), batch_size=images)
        if config.resume and (config.out / RECORD).exists():
            return _finished(config, progress)
        try:
            return (_train if leads() else _follow)(config, device, progress)
        except KeyboardInterrupt:
            progress.say("interrupted: the same command with --resume goes on where it stopped")
            raise


def _finished(config: TrainConfig, progress: Progress) -> Checkpoint:
    """The run as it is, if it is the one that is asked for."""
    checkpoint = load(config.out)
    refuse_changes(config, record_of(checkpoint.config))
    progress.say(f"{config.out} is finished already")
    return checkpoint


def _train(config: TrainConfig, device: torch.device, progress: Progress) -> Checkpoint:
    started = time.monotonic()
    leaves_one_out(config)  # raises where it cannot
    selection = training_selection(config.data, config.choice)
    require_enough(len(selection.show()), config)
    torch.manual_seed(config.seed)
    backbone = _backbone(config, device)
    side = config.image_size // DETECTORS[config.detector].stride_of(backbone)  # of the maps
    inspected = None if config.mask is None else inspected_part(config.mask, side)
    state = open_state(config)
    try:
        corpus = read_corpus(selection, config, backbone, state, progress)
        split = split_corpus(corpus, config, progress)
        left_out: tuple[int, ...] = ()  # pictures
        if config.assume_clean < 1:
            left_out = _suspects(config, backbone, corpus, inspected, state, progress)
            split = split.without(np.flatnonzero(np.isin(corpus.pictures, left_out)))
        corpus = corpus.beside(split.references)
        wait()  # for those that follow
        detector = _fit(config, backbone, corpus.features.subset(split.fit), state, progress)
        evidence = gather(corpus, split, detector, inspected, progress)
        decided = build_gauge(config, backbone, detector, evidence).decided
    except (BackboneError, DataError):
        discard(state)
        raise
    fitted = np.unique(corpus.pictures[split.fit])
    checkpoint = Checkpoint(
        config=config,
        backbone=backbone,
        detector=detector,
        evidence=evidence,
        decided=decided,
        training_digest=corpus.digest,
        images=len(fitted),
        calibrated_at=int(time.time()),
        depth=corpus.depth,
        origins=corpus.origins,
        fitted_files=tuple(corpus.origins[picture].name for picture in fitted),
        left_out=tuple(corpus.origins[picture].name for picture in left_out),
    )
    save(checkpoint, _verification_images(corpus.features, split.held_out, config))
    shutil.rmtree(state)
    wait()
    _summarise(checkpoint, time.monotonic() - started, progress)
    return checkpoint


def _follow(config: TrainConfig, device: torch.device, progress: Progress) -> Checkpoint:
    """Fit along with the process that leads, on what it has read; the run is what it writes."""
    state = config.out / "state"
    wait()  # until all is read
    if not state.is_dir():
        raise CheckpointError(
            f"{state} is not seen by each process: machines that train together share --out"
        )
    torch.manual_seed(config.seed)
    backbone = _backbone(config, device)
    selection = training_selection(config.data, config.choice)
    corpus = read_corpus(selection, config, backbone, state, progress)
    split = split_corpus(corpus, config, progress)
    _fit(config, backbone, corpus.features.subset(split.fit), state, progress)
    wait()  # until the run is written
    return load(config.out)


def _require_gradient(config: TrainConfig) -> None:
    """Raise ConfigError where several processes would have nothing to share."""
    if size() > 1 and DETECTORS[config.detector].leaves_one_out:
        raise ConfigError(
            f"{config.detector} is not trained by gradient, so that one process does: leave out "
            "torchrun; --engine ray computes on several machines"
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


def _backbone(config: TrainConfig, device: torch.device) -> Backbone:
    """The backbone, if it suits the images' size and the detector."""
    backbone = load_backbone(
        config.backbone,
        config.stages,
        config.backbone_weights,
        image_size=config.image_size,
        recentred=config.recentred,
    ).to(device)
    backbone.require_size(config.image_size)
    DETECTORS[config.detector].require(backbone)
    return backbone


def _fit(
    config: TrainConfig, backbone: Backbone, features: Features, state: Path, progress: Progress
) -> Detector:
    """The fitted detector, from the state where it was fitted before."""
    fitted, device = state / "detector.safetensors", backbone.mean.device
    if fitted.exists():
        try:
            tensors = load_file(fitted)
        except (OSError, SafetensorError) as exc:
            raise CheckpointError(
                f"cannot resume from {fitted}: {exc}; remove it to fit anew"
            ) from exc
        return restore_detector(config.detector, backbone, tensors).to(device)
    detector = DETECTORS[config.detector](backbone).to(device)
    options = FitOptions(
        epochs=config.epochs or detector.advised_epochs(len(features), config.batch_size),
        batch_size=config.batch_size,
        bank_size=config.bank_size,
        seed=config.seed,
        state=state / "fit.safetensors",
    )
    detector.fit(features, options, progress)
    if leads():
        with whole(fitted) as file:
            save_file({k: v.cpu().contiguous() for k, v in detector.state_dict().items()}, file)
    return detector.eval()


def _suspects(
    config: TrainConfig,
    backbone: Backbone,
    corpus: Corpus,
    inspected: Tensor | None,
    state: Path,
    progress: Progress,
) -> tuple[int, ...]:
    """The pictures beyond the share that is assumed clean, found with all of them."""
    first, every = state / "first", np.arange(len(corpus.pictures))
    first.mkdir(exist_ok=True)
    corpus = corpus.beside(every)
    detector = _fit(config, backbone, corpus.features, first, progress)
    evidence = gather(corpus, Split(every, every, every[:0]), detector, inspected, progress)
    pictures = evidence.pictures[evidence.references].numpy()
    worst = most_suspicious(evidence.suspicion, pictures).tolist()
    suspects = worst[: round((1 - config.assume_clean) * len(worst))]
    some = ", ".join(corpus.origins[picture].name for picture in suspects[:NAMED])
    progress.say(
        f"{len(suspects)} of {len(worst)} images are left out, as {config.assume_clean:g} of them "
        f"are assumed to be clean; least like their like are {some}"
    )
    return tuple(suspects)


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
