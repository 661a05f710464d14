"""Everything that one training run depends on, and what its fitting needs of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onegauge.service.imaging.tiles import Tiling
from onegauge.training.choice import Choice
from onegauge.training.errors import ConfigError
from onegauge.training.groups import require_expression

RATES = ("false_alarm_rate", "novelty_rate", "calibration_fraction")
LEAVE_ONE_OUT, SPLIT = "leave-one-out", "split"
FRESH = "fresh"  # of a gauge that was recalibrated after its training
COUNTS = ("bank_size", "batch_size", "image_size", "references")


@dataclass(frozen=True)
class TrainConfig:
    """One run; the command line has an option for each field."""

    data: Path  # folder of images, nested or flat
    out: Path  # the run's folder
    detector: str = "gallery"
    backbone: str = "starter"  # or a convolutional model or vision transformer of timm
    backbone_weights: Path | None = None  # None: the starter's own, or timm's pretrained
    stages: tuple[int, ...] | None = None  # None: the usual ones of the backbone
    recentred: bool = False  # class token off every patch: vision transformers only
    image_size: int = 384  # pixels, square; the aspect ratio is not kept
    tile: int | None = None  # side of tiles of the original resolution; None: whole pictures
    overlap: int = 0  # pixels that neighbouring tiles share at least
    mask: Path | None = None  # a picture, white where to inspect; None: everywhere
    alignment: str = "cada"
    score_share: float = 0.01  # of the map's pixels that make the image score; 0: the maximum
    false_alarm_rate: float = 0.01  # promised at score 1.0
    novelty_rate: float = 0.001  # of normal images that may be called an unknown product
    calibration: str | None = None  # leave-one-out or split; None: what suits the detector
    calibration_fraction: float = 0.2  # of a split: held out; more where the promise needs more
    group_by: str | None = None  # what tells the part in a name; None: near-copies are one
    epochs: int | None = None  # of detectors that learn by gradient; None: what they advise
    bank_size: int = 10_000  # memories of a memory bank
    assume_clean: float = 1.0  # share of the images; those least like their like are left out
    references: int = 4_000  # images at most that the alignment looks among for what is alike
    batch_size: int = 16
    include: tuple[str, ...] = ()  # globs below `data`, of images to train on in any case
    exclude: tuple[str, ...] = ()  # and of images not to train on
    allow_unreadable: bool = False  # go on where more than 5 % of the files cannot be read
    resume: bool = False
    device: str = "auto"
    seed: int = 0

    @property
    def tiling(self) -> Tiling | None:
        """How pictures are cut, None where they are not."""
        return None if self.tile is None else Tiling(self.tile, self.overlap)

    @property
    def choice(self) -> Choice:
        """What is taken from `data` against the names there."""
        return Choice(self.include, self.exclude)

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot work, before anything is read."""
        _require_calibration(self.calibration)
        _require_majority(self.assume_clean)
        for name in RATES:
            require_rate(name, getattr(self, name))
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.tile is not None and not 0 <= self.overlap < self.tile:
            raise ConfigError(f"overlap must lie in 0 to {self.tile - 1}, not {self.overlap}")
        if self.tile is not None and self.mask is not None:
            raise ConfigError("a mask lies over whole pictures: leave it out with tiles")
        if not 0 <= self.score_share <= 1:
            raise ConfigError(f"score_share must lie in 0 to 1, not {self.score_share:g}")
        if self.group_by is not None:
            require_expression(self.group_by)
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"epochs must be 1 or more, not {self.epochs}")
        if self.stages is not None and (
            not self.stages or list(self.stages) != sorted({*self.stages})
        ):
            raise ConfigError(f"stages must ascend, such as 1,2,3, not {self.stages}")


def _require_calibration(name: str | None) -> None:
    if name not in (None, LEAVE_ONE_OUT, SPLIT):
        raise ConfigError(f"calibration must be {LEAVE_ONE_OUT} or {SPLIT}, not {name!r}")


def _require_majority(clean: float) -> None:
    if not 0.5 < clean <= 1:
        raise ConfigError(f"assume_clean must be above 0.5 and at most 1, not {clean:g}")


def require_rate(name: str, value: float) -> None:
    """Raise ConfigError unless `value` lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ConfigError(f"{name} must lie between 0 and 1, not {value:g}")


@dataclass(frozen=True)
class FitOptions:
    """What fitting needs beside the features."""

    epochs: int
    batch_size: int
    bank_size: int
    seed: int
    state: Path  # where an interrupted fit is kept and resumed from
