"""Normal images leave the library, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onegauge.files import is_image
from onegauge.library.fit import Fit
from onegauge.library.library import Library
from onegauge.library.likeness import Rows
from onegauge.teach.change import FORGOTTEN, Change, taught
from onegauge.teach.errors import TeachingError
from onegauge.teach.observer import Observer
from onegauge.teach.target import Target
from onegauge.training.data.digest import file_digest
from onegauge.training.progress import Progress


@dataclass(frozen=True)
class Unwanted:
    """What is to leave: references by their ids, groups by their numbers, copies of files."""

    ids: Sequence[str] = ()
    groups: Sequence[int] = ()
    data: Path | None = None

    def pictures(self, library: Library) -> Rows:
        """The pictures of a library; raises TeachingError for what it has not, or for nothing."""
        rows = library.references
        there = {library.origins[p].id: p for p in np.unique(library.pictures[rows]).tolist()}
        found = [_known(there, name) for name in self.ids]
        of_group = {g: library.pictures[rows][library.parts[rows] == g] for g in self.groups}
        for group, pictures in of_group.items():
            if not len(pictures):
                raise TeachingError(f"the library has no group {group}: see onegauge references")
            found += pictures.tolist()
        if self.data is not None:
            files = [file for file in sorted(self.data.rglob("*")) if is_image(file)]
            digests = {file_digest(file) for file in files if file.is_file()}
            alike = [p for p in there.values() if library.origins[p].digest in digests]
            if not alike:
                raise TeachingError(f"no image in {self.data} is in the library")
            found += alike
        if not found:
            raise TeachingError("nothing to remove: name --reference, --group or --data")
        return np.unique(found)


def remove(target: Target, unwanted: Unwanted) -> str:
    """Have images leave the library, and keep the gauge; tells where. Raises as `add`."""
    progress, library = Progress(), target.library
    gone = unwanted.pictures(library)
    before = target.fit()
    after = Fit.of(library.without(gone))
    progress.say(f"{len(gone)} images leave, {len(after.library)} references stay")
    progress.say(Change(before, after).told())
    if target.recalibrated:
        progress.say(FORGOTTEN)
    observer = Observer(target.graph(), before.constants())
    none = target.verification().images[:0]
    return target.keep(taught(target, observer, after, none))


def _known(there: dict[str, int], name: str) -> int:
    if name not in there:
        raise TeachingError(f"the library has no reference {name!r}: see onegauge references")
    return there[name]
