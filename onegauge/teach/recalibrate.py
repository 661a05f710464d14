"""The threshold from fresh normal images of the line, nothing else changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onegauge.export.graph import replace_constants
from onegauge.export.session import Session
from onegauge.library.conformal import (
    Calibrated,
    calibrated,
    carried,
    highest_of,
    images_needed,
)
from onegauge.library.fit import Fit
from onegauge.library.library import one_of_each
from onegauge.library.likeness import Array, Rows
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.repository import Verification
from onegauge.teach.addition import Pictures
from onegauge.teach.change import calibration_of, require_agreement, require_p_values
from onegauge.teach.errors import TeachingError
from onegauge.teach.observer import BATCH
from onegauge.teach.share import Share
from onegauge.teach.shots import first_free
from onegauge.teach.target import CALIBRATION, Target, Taught
from onegauge.training.config import FRESH
from onegauge.training.report.headline import promised

FEWEST_IMAGES = 10
MANY = 0.5  # of the fresh images: so many of an unknown product are seldom a matter of light
FAR = 1.5  # as a score of before: what lies between hides more defects than false alarms are worth
BARE = Calibrated(np.float32(0), np.float32(1), np.zeros(1, np.float32))  # changes no score


@dataclass(frozen=True)
class Recalibration:
    """What n fresh normal images, each of another new part, make of the threshold of a gauge."""

    pictures: Pictures
    chosen: Rows  # (n,) of the pictures
    aligned: Array  # (n,)
    novelty: Array  # (n,)
    references: Array | None  # (m,) aligned scores of those left out in turn; None: no library
    was: Calibrated
    now: Calibrated
    promised: float | None  # the false-alarm rate of before
    wanted: float  # and the one that is asked for

    @property
    def promise(self) -> float:
        """What the fresh images carry of the rate that is asked for."""
        return carried(self.wanted, len(self.chosen))

    @cached_property
    def before(self) -> Array:
        """Scores (n,) of the fresh images as the gauge is."""
        return self.was(self.aligned)

    @cached_property
    def after(self) -> Array:
        """And recalibrated."""
        return self.now(self.aligned)

    @property
    def threshold(self) -> float:
        """The new threshold as a score of before."""
        return float((self.now.origin + self.now.span - self.was.origin) / self.was.span)

    @property
    def typical(self) -> float:
        """What the typical fresh image scored before."""
        return float((self.now.origin - self.was.origin) / self.was.span)

    @property
    def flagged(self) -> Share:
        """The fresh images that are flagged as the gauge is."""
        return Share.of(self.before)

    @property
    def unknown(self) -> Share:
        """Of the fresh images those of an unknown product."""
        return Share.of(self.novelty)

    @property
    def is_new(self) -> bool:
        """Whether so many are of an unknown product that a threshold is no answer."""
        return self.unknown.rate >= MANY

    @property
    def should_be_added(self) -> bool:
        """Whether these images would better become references than move the threshold so far."""
        return self.references is not None and self.threshold >= FAR

    @property
    def flagged_references(self) -> tuple[Share, Share] | None:
        """Of the references, each left out in turn, those flagged before and now."""
        if self.references is None:
            return None
        return Share.of(self.was(self.references)), Share.of(self.now(self.references))

    def told(self) -> list[str]:
        """What it does, in sentences."""
        most = "" if self.promised is None else f", at most {promised(self.promised)} promised"
        told = [
            f"{self.flagged} fresh images are flagged as the gauge is{most}",
            f"the new threshold is where the score was {self.threshold:.2f}, for at most "
            f"{promised(self.promise)} false alarms on images like these",
        ]
        if (needed := images_needed(self.wanted)) > len(self.chosen):
            told.append(
                f"warning: {len(self.chosen)} fresh images promise {promised(self.promise)} false "
                f"alarms, not {promised(self.wanted)}, which needs {needed}"
            )
        if shares := self.flagged_references:
            told.append(
                f"{shares[0]} references are flagged as it is, each left out in turn, and "
                f"{shares[1]} recalibrated"
            )
        told.append(f"{self.unknown} fresh images are of an unknown product")
        if self.is_new:
            told.append(
                "warning: so many are seldom of a known product in other light: if the product is "
                "new, have its images added by onegauge add"
            )
        if self.should_be_added:
            told.append(
                "warning: the threshold rises so far that defects hide below it: have these images "
                "added by onegauge add instead, which keeps the promise at fewer misses"
            )
        return told


def recalibration_of(target: Target, pictures: Pictures, rate: float | None) -> Recalibration:
    """Score fresh images as new ones and find the threshold by them.

    `rate` is the false-alarm rate to promise, None for what the gauge was trained for. Raises
    TeachingError, and LibraryError where the scores do not differ.
    """
    wanted = _wanted(target, rate)
    once = one_of_each(pictures.parts)
    chosen = np.sort(once[pictures.parts[once] >= first_free(target.kept)])
    if len(chosen) < FEWEST_IMAGES:
        raise TeachingError(
            f"{len(chosen)} fresh images, each of another new part, are too few: recalibrating "
            f"needs {FEWEST_IMAGES}, and the false-alarm rate {wanted:g} needs "
            f"{images_needed(wanted)}"
        )
    was, found = target.calibrated(), score_bare(target, pictures.images)
    aligned, novelty = (highest_of(f, pictures.numbers)[chosen].astype(np.float32) for f in found)
    now = calibrated(aligned, wanted)
    known = _references(target) if target.keeps_library else None
    return Recalibration(
        pictures, chosen, aligned, novelty, known, was, now, target.promised, wanted
    )


def score_bare(target: Target, images: NDArray[np.uint8]) -> list[Array]:
    """Aligned scores (R,), which no threshold has changed yet, and novelties (R,) of images."""
    model = target.graph()
    _store(model, BARE)
    session = Session(model.SerializeToString())
    batches = ({IMAGE: images[at : at + BATCH]} for at in range(0, len(images), BATCH))
    return session.outputs(("score", "novelty"), batches)


def recalibrate(target: Target, found: Recalibration) -> str:
    """Have the gauge decide by the new threshold, and keep it; tells where.

    On any failure the gauge is as it was: raises TeachingError, VerificationError and
    RepositoryError.
    """
    return target.keep(_taught(target, found))


def _wanted(target: Target, rate: float | None) -> float:
    if rate is None:
        rate = target.library.rates.false_alarm_rate if target.keeps_library else target.promised
    if rate is None:
        raise TeachingError("the model does not say what it promises: give --false-alarm-rate")
    if not 0 < rate < 1:
        raise TeachingError(f"false-alarm rate {rate:g}: must lie between 0 and 1")
    return rate


def _references(target: Target) -> Array:
    """Aligned scores (m,) of a library's pictures, each left out in turn."""
    fit = Fit.of(target.library)
    rows, was = fit.library.held_out, fit.calibrated
    highest = highest_of(fit.scores(rows), fit.library.pictures[rows])
    return (highest * was.span + was.origin).astype(np.float32)


def _store(model: ModelProto, calibration: Calibrated) -> None:
    replace_constants(model, dict(zip(CALIBRATION, map(np.asarray, calibration), strict=True)))


def _taught(target: Target, found: Recalibration) -> Taught:
    """The gauge with the new threshold, once its graph says what follows from the old one's."""
    known, model = target.verification(), target.graph()
    _store(model, BARE)
    aligned, strange = _judged(model, known)[:2]
    _store(model, found.now)
    score, novelty, p_value = _judged(model, known)
    require_agreement(score, novelty, found.now(aligned), strange)
    require_p_values(p_value, found.now.p_value(score))
    told = calibration_of(found.now, found.promise) | {"calibration": FRESH}
    return Taught(model, Verification(known.images, score, novelty), told)


def _judged(model: ModelProto, known: Verification) -> list[Array]:
    """Score, novelty and p-value (V,) of the images that a gauge is verified by."""
    session = Session(model.SerializeToString())
    batches = ({IMAGE: known.images[i : i + 1]} for i in range(len(known.images)))
    return session.outputs(("score", "novelty", "p_value"), batches)
