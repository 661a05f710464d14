"""New normal images of known or new products become references, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onegauge.library.fit import Fit
from onegauge.teach.addition import Pictures, grown, read_pictures
from onegauge.teach.change import FORGOTTEN, Change, rows_of, taught
from onegauge.teach.observer import NEW, Observer
from onegauge.teach.target import Target
from onegauge.training.choice import Choice
from onegauge.training.progress import Progress


def add(target: Target, data: Path, group_by: str | None, choice: Choice) -> str:
    """Have the images below `data` in the library, and keep the gauge; tells where.

    Says what it does to decisions. On any failure the gauge is as it was: raises DataError,
    LibraryError, TeachingError, VerificationError and RepositoryError.
    """
    progress = Progress()
    before = target.fit()
    pictures = read_pictures(target, data, group_by, choice, progress)
    observer = Observer(target.graph(), before.constants())
    after = Fit.of(grown(target.library, pictures, observer))
    progress.say(_of_new(pictures, observer, before, after))
    progress.say(Change(before, after).told())
    if target.recalibrated:
        progress.say(FORGOTTEN)
    return target.keep(taught(target, observer, after, pictures.images))


def _of_new(pictures: Pictures, observer: Observer, before: Fit, after: Fit) -> str:
    """What becomes of the new images, in a sentence."""
    seen, _ = observer.see(pictures.images)
    score, novelty = before.judge(seen, np.repeat(NEW, len(pictures.images), 0))
    held_out = rows_of(
        after.library, len(before.library.origins) + np.arange(len(pictures.origins))
    )
    flagged = int((after.scores(held_out) >= 1).sum())
    return (
        f"{len(pictures.origins)} images become references, {len(after.library)} in all; before, "
        f"{int((score >= 1).sum())} of them were flagged and {int((novelty >= 1).sum())} of an "
        f"unknown product; now, each left out in turn, {flagged} of {len(held_out)} are flagged, "
        f"at a promise of {after.false_alarm_rate:.3g}"
    )
