"""New normal images of known or new products become references, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onegauge.library.fit import Fit
from onegauge.teach.addition import added_rows, grown, read_pictures
from onegauge.teach.change import FORGOTTEN, Change, rows_of, taught
from onegauge.teach.observer import NEW, Observer, Sight
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
    sight = observer.see(pictures.images)
    added = added_rows(pictures, sight)
    after = Fit.of(grown(target.library, added, pictures.images, observer))
    progress.say(_of_new(len(pictures.origins), sight, before, after))
    progress.say(Change(before, after).told())
    if target.recalibrated:
        progress.say(FORGOTTEN)
    return target.keep(taught(target, observer, after, pictures.images))


def _of_new(pictures: int, sight: Sight, before: Fit, after: Fit) -> str:
    """What becomes of the new images, in a sentence."""
    seen, _ = sight
    score, novelty = before.judge(seen, np.repeat(NEW, len(seen.raw_map), 0))
    held_out = rows_of(after.library, len(before.library.origins) + np.arange(pictures))
    now = "all of known parts, so that none is calibrated on"
    if len(held_out):
        flagged = int((after.scores(held_out) >= 1).sum())
        now = (
            f"now, each left out in turn, {flagged} of {len(held_out)} are flagged, at a promise "
            f"of {after.false_alarm_rate:.3g}"
        )
    return (
        f"{pictures} images become references, {len(after.library)} in all; before, "
        f"{int((score >= 1).sum())} of them were flagged and {int((novelty >= 1).sum())} of an "
        f"unknown product; {now}"
    )
