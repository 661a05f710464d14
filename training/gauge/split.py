"""Which images a detector is fitted on, and which its gauge compares with and is calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from onegauge.library.conformal import images_needed
from onegauge.training.backbones.neighbours import comparable
from onegauge.training.config import LEAVE_ONE_OUT, TrainConfig
from onegauge.training.data.corpus import Corpus
from onegauge.training.detectors import DETECTORS
from onegauge.training.errors import ConfigError, DataError
from onegauge.training.groups import one_of_each
from onegauge.training.progress import Progress

FEWEST_IMAGES = 10


@dataclass(frozen=True)
class Split:
    """Rows of a corpus's images, tiles as they may be."""

    fit: np.ndarray
    references: np.ndarray  # of those fitted on, what new images are compared with
    held_out: np.ndarray  # of one picture of each part that is calibrated on

    def without(self, rows: np.ndarray) -> Split:
        """The same with some rows on neither side."""
        sides = (side[~np.isin(side, rows)] for side in (self.fit, self.references, self.held_out))
        return Split(*sides)


def leaves_one_out(config: TrainConfig) -> bool:
    """Whether each image is calibrated on as if nothing had seen it, so that none is held out.

    Raises ConfigError where that is asked for and the detector cannot.
    """
    able = DETECTORS[config.detector].leaves_one_out
    if config.calibration == LEAVE_ONE_OUT and not able:
        raise ConfigError(
            f"{config.detector} has learnt from every image it was fitted on, so that none can be "
            "left out afterwards: calibrate it by --calibration split"
        )
    leaves = able if config.calibration is None else config.calibration == LEAVE_ONE_OUT
    if config.assume_clean < 1 and not leaves:
        raise ConfigError(
            f"assume_clean {config.assume_clean:g} needs a detector that leaves each image out in "
            "turn: gallery or patchcore, not calibrated by a split"
        )
    return leaves


def split_corpus(corpus: Corpus, config: TrainConfig, progress: Progress) -> Split:
    """Split by parts, or have all images on both sides where each can be left out in turn.

    Raises DataError where there are too few, or too few references.
    """
    _require_parts(corpus, config)
    parts = len(np.unique(corpus.parts))
    if leaves_one_out(config):
        fitted = calibrated = np.arange(parts)
        _warn(parts, parts, config, progress)
    else:
        fitted, calibrated = split_parts(parts, config, progress)
    shown = corpus.parts[corpus.pictures]
    fit = np.flatnonzero(np.isin(shown, fitted))
    held_out = np.isin(corpus.pictures, one_of_each(corpus.parts, calibrated, config.seed))
    references = _references(fit, config, progress)
    comparable(torch.from_numpy(shown[references]), 1)  # raises if they are not
    # What a detector remembers is of the references alone, by whose numbers neighbours are told
    fitted_on = references if DETECTORS[config.detector].leaves_one_out else fit
    return Split(fitted_on, references, np.flatnonzero(held_out))


def split_parts(
    parts: int, config: TrainConfig, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Parts to fit on and parts to calibrate on, drawn at random; says what the promise needs.

    The calibration part grows beyond its fraction, up to half, where the target false-alarm rate
    could not be promised otherwise.
    """
    needed = images_needed(config.false_alarm_rate)
    held_out = max(round(config.calibration_fraction * parts), min(needed, parts // 2))
    _warn(held_out, 2 * held_out, config, progress)
    order = np.random.default_rng(config.seed).permutation(parts)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _warn(calibrated: int, parts: int, config: TrainConfig, progress: Progress) -> None:
    """Say where so few calibration images, of so many parts, cannot carry the promise."""
    needed = images_needed(config.false_alarm_rate)
    if calibrated < needed:
        progress.say(
            f"warning: {calibrated} calibration images promise a false-alarm rate of "
            f"{1 / (calibrated + 1):.3g}, not {config.false_alarm_rate:g}, which needs {needed}: "
            f"train on at least {needed * parts // calibrated} images, each of another part"
        )


def require_enough(images: int, config: TrainConfig, why: str = "") -> None:
    """Raise DataError, which says why, for so few images that nothing can be learnt from them."""
    if images < FEWEST_IMAGES:
        sides = 1 if leaves_one_out(config) else 2
        raise DataError(
            f"{images} images are too few{why}: training needs {FEWEST_IMAGES}, and the "
            f"false-alarm rate {config.false_alarm_rate:g} needs "
            f"{sides * images_needed(config.false_alarm_rate)}"
        )


def _require_parts(corpus: Corpus, config: TrainConfig) -> None:
    """Raise DataError where files are many, but of too few different images or parts."""
    parts, images = len(np.unique(corpus.parts)), len(corpus.paths)
    told = []
    if corpus.copies:
        told.append(f"{corpus.copies} files are copies of others")
    if parts < images:
        told.append(
            f"{images} images show {parts} parts, each of which counts once; if that is not so, "
            "--group-by tells the part of an image"
        )
    require_enough(parts, config, f" ({'; '.join(told)})" if told else "")


def _references(fit: np.ndarray, config: TrainConfig, progress: Progress) -> np.ndarray:
    """The images fitted on, some of them drawn at random if they are too many."""
    if len(fit) <= config.references:
        return fit
    progress.say(
        f"{config.references} of the {len(fit)} images fitted on are kept to compare with: "
        "--references"
    )
    draw = np.random.default_rng(config.seed).choice(len(fit), config.references, replace=False)
    return fit[np.sort(draw)]
