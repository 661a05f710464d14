"""The pictures that a run was calibrated on, read again from the files that they came from."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from onegauge.export.errors import ExportError
from onegauge.service.errors import ImageError
from onegauge.training.checkpoint import Checkpoint
from onegauge.training.data.dataset import Picture, picture_of, readable
from onegauge.training.data.digest import file_digest


@dataclass(frozen=True)
class HeldOut:
    """The files that a run was calibrated on, unchanged since."""

    checkpoint: Checkpoint
    folder: Path
    files: dict[Path, str]  # with the SHA-256 of each, in the order of the run's evidence
    fitted: tuple[Path, ...]  # what the run was fitted on, if it is still there

    @classmethod
    def of(cls, checkpoint: Checkpoint, folder: Path | None) -> HeldOut:
        """Those below `folder`, None for the run's own; raises ExportError unless all are there."""
        folder = folder or checkpoint.config.data
        files = {folder / name: sha256 for name, sha256 in checkpoint.calibration_files.items()}
        for file, sha256 in files.items():
            try:
                changed = file_digest(file) != sha256
            except OSError as exc:
                raise _missed(file, f"cannot be read: {exc.strerror}") from exc
            if changed:
                raise _missed(file, "has changed since")
        fitted = tuple(folder / name for name in checkpoint.fitted_files)
        return cls(checkpoint, folder, files, fitted)

    @property
    def own(self) -> list[tuple[int, int]]:
        """The first and the last group that must not tell of each picture, in their order."""
        evidence = self.checkpoint.evidence
        rows = evidence.held_out
        pictures, own = evidence.pictures[rows].tolist(), evidence.own[rows].tolist()
        of_each = dict(zip(pictures, own, strict=True))
        return [(first, last) for first, last in of_each.values()]

    def pictures(self) -> Iterator[np.ndarray]:
        """The tiles uint8 (T, size, size, 3) of each, of which the whole may be the only one."""
        config, depth = self.checkpoint.config, self.checkpoint.depth
        for file in self.files:
            try:
                yield picture_of(file, config.image_size, config.tiling, depth).pixels
            except (ImageError, OSError) as exc:
                raise _missed(file, f"cannot be read: {exc}") from exc

    def sample(self, images: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """So many at most, each a picture or a tile of another, and what is `own` to each.

        The images are uint8 (N, size, size, 3).
        """
        known = dict(zip(self.files, self.own, strict=True))
        drawn = [*islice(self._drawn(self.files), images)]
        return np.stack([tile for _, tile in drawn]), [known[file] for file, _ in drawn]

    def fitted_on(self, images: int) -> np.ndarray:
        """So many at most of what the run was fitted on; raises ExportError if nothing is left.

        A copy of a picture that was held out does not count, unless all were fitted on.
        """
        but = () if self.checkpoint.evidence.leaves_one_out else {*self.files.values()}
        found = [tile for _, tile in islice(self._drawn(self.fitted, but), images)]
        if not found:
            raise ExportError(
                f"{self.folder} has none of the images that the run was fitted on, which int8 is "
                "scaled by: name the folder that they are in by --images"
            )
        return np.stack(found)

    def _drawn(
        self, files: Iterable[Path], but: Container[str] = ()
    ) -> Iterator[tuple[Path, np.ndarray]]:
        """Readable files, but those of such content, and a tile of each, all in random order."""
        rng, listed = np.random.default_rng(0), [*files]
        config, depth = self.checkpoint.config, self.checkpoint.depth
        for place in rng.permutation(len(listed)):
            file = listed[place]
            for _, picture in readable([file], config.image_size, config.tiling, depth):
                if isinstance(picture, Picture) and picture.digest not in but:
                    yield file, picture.pixels[rng.integers(len(picture))]


def _missed(file: Path, why: str) -> ExportError:
    return ExportError(
        f"{file}, which the run was calibrated on, {why}: a smaller precision is calibrated on the "
        "same images; name the folder that they are in by --images, or export with --precision "
        "fp32"
    )
