"""What another library does to decisions, and the graph that has it, verified."""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onegauge.export.errors import VerificationError
from onegauge.export.graph import replace_constants
from onegauge.export.session import Session
from onegauge.library.conformal import Calibrated
from onegauge.library.fit import Fit
from onegauge.library.library import Library
from onegauge.library.likeness import Array, Rows
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.repository import Verification
from onegauge.teach.errors import TeachingError
from onegauge.teach.observer import NEW, Observer
from onegauge.teach.target import Target, Taught
from onegauge.training.config import LEAVE_ONE_OUT, SPLIT

TOLERANCE = 2e-3  # of a score, the threshold being 1
SHOWN = 8  # new images at most that a graph is verified on
FORGOTTEN = (
    "warning: the gauge was recalibrated on fresh images, which it does not keep; its threshold is "
    "that of all references again: recalibrate it anew"
)


@dataclass(frozen=True)
class Change:
    """A library before and after, whose rows that stay have the same order."""

    before: Fit
    after: Fit

    def decisions(self) -> tuple[int, int, int]:
        """Of the images that are calibrated on in both: all, newly flagged, no longer flagged."""
        old, new = self.before.library, self.after.library
        stayed = np.isin(old.pictures[old.held_out], new.pictures[new.held_out])
        same = np.isin(new.pictures[new.held_out], old.pictures[old.held_out])
        was = self.before.scores(old.held_out[stayed]) >= 1
        now = self.after.scores(new.held_out[same]) >= 1
        return len(was), int((now & ~was).sum()), int((was & ~now).sum())

    def told(self) -> str:
        """What becomes of the decisions on images that stay, in a sentence."""
        images, more, fewer = self.decisions()
        return (
            f"of {images} normal images that stay, each left out in turn, {more} are flagged that "
            f"were not and {fewer} no longer are ({(more + fewer) / max(1, images):.2%} changed)"
        )


def taught(target: Target, observer: Observer, after: Fit, images: NDArray[np.uint8]) -> Taught:
    """The gauge with another library, once graph and library say the same of the images.

    `images` (R, H, W, 3) are looked at beside those of the target's verification, all as new ones.
    Raises VerificationError, and TeachingError for a graph that has not all of these constants.
    """
    model, constants = target.graph(), after.constants()
    try:
        replace_constants(model, constants)
    except KeyError as exc:
        raise TeachingError(
            f"the graph is of an older onegauge, without the constant {exc}: train it anew"
        ) from exc
    known = target.verification()
    shown = np.concatenate([known.images, images[:SHOWN]])
    said = Session(model.SerializeToString())
    batches = ({IMAGE: shown[i : i + 1]} for i in range(len(shown)))
    score, novelty, p_value = said.outputs(("score", "novelty", "p_value"), batches)
    seen, _ = observer.see(shown, constants)
    require_agreement(score, novelty, *after.judge(seen, np.repeat(NEW, len(shown), 0)))
    require_p_values(p_value, after.calibrated.p_value(score))
    count = len(known.images)
    verification = Verification(known.images, score[:count], novelty[:count])
    return Taught(model, verification, parameters_of(after), after)


def require_agreement(score: Array, novelty: Array, expected: Array, strange: Array) -> None:
    """Raise VerificationError unless a graph says of images (R,) what is expected of it."""
    error = float(np.abs(score - expected).max())
    flipped = ((score >= 1) != (expected >= 1)) | ((novelty >= 1) != (strange >= 1))
    if not error <= TOLERANCE or flipped.any():
        raise VerificationError(
            f"the changed graph differs from its library, or from what it was, by {error:.2g} in "
            f"the score (at most {TOLERANCE} allowed), and in {int(flipped.sum())} decisions"
        )


def require_p_values(p_value: Array, expected: NDArray[np.float64]) -> None:
    """Raise VerificationError unless a graph gives images (R,) the p-values that are expected."""
    if not np.allclose(p_value, expected, rtol=0, atol=1e-5):
        raise VerificationError(
            "the changed graph gives p-values of another number of calibration images: it is of an "
            "older onegauge; export its run anew"
        )


def parameters_of(fit: Fit) -> dict[str, str]:
    """What a configuration says of a library."""
    library = fit.library
    both = np.isin(library.groups[library.held_out], library.groups[library.references])
    return {
        **calibration_of(fit.calibrated, fit.false_alarm_rate),
        "calibration": LEAVE_ONE_OUT if both.any() else SPLIT,
        "novelty_rate": str(fit.novelty_rate),
        "references": str(len(library)),
        "training_images": str(len(np.unique(library.pictures[library.references]))),
    }


def calibration_of(calibrated: Calibrated, false_alarm_rate: float) -> dict[str, str]:
    """What a configuration says of a threshold that was found now."""
    return {
        "calibrated_at": str(int(time.time())),
        "calibration_images": str(len(calibrated.scores)),
        "calibration_scores": b64encode(calibrated.scores.astype("<f4").tobytes()).decode(),
        "false_alarm_rate": str(false_alarm_rate),
    }


def rows_of(library: Library, pictures: Rows) -> Rows:
    """The rows of some pictures that are calibrated on."""
    return library.held_out[np.isin(library.pictures[library.held_out], pictures)]
