"""Train and evaluate a grid of detectors, alignments and seeds; the same call goes on with it.

OUT/results.jsonl   one line a detector, alignment and seed, with all figures
OUT/results.md      the tables
OUT/runs/           the runs, each as `onegauge train` leaves it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from onegauge.training.benchmark.results import Result, Results
from onegauge.training.benchmark.tables import tables
from onegauge.training.checkpoint import bare_backbone
from onegauge.training.choice import Choice
from onegauge.training.config import TrainConfig
from onegauge.training.detectors import DETECTORS
from onegauge.training.errors import ConfigError
from onegauge.training.evaluation.evaluate import both_kinds, figures_of
from onegauge.training.evaluation.run import Question, evaluate_run, require_known
from onegauge.training.progress import Progress
from onegauge.training.train import train

RECENTRED = "recentred"  # aligns features instead of maps, so it is a run of its own


@dataclass(frozen=True)
class Grid:
    """What is to be measured."""

    config: TrainConfig  # what all runs share; its `out` is the folder of the whole
    detectors: tuple[str, ...]
    alignments: tuple[str, ...]  # of `training.gauge.alignments.ALIGNMENTS`, or RECENTRED
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise a TrainingError for what cannot work, before hours are spent on what can."""
        for name in self.detectors:
            if name not in DETECTORS:
                raise ConfigError(f"no detector {name!r}; there are {', '.join(DETECTORS)}")
        require_known([name for name in self.alignments if name != RECENTRED])
        for detector, recentred in product(self.detectors, self._recentred()):
            config = self._run(detector, self.seeds[0], recentred=recentred)
            backbone = bare_backbone(config)
            backbone.require_size(config.image_size)
            DETECTORS[detector].require(backbone)

    def runs(self) -> Iterator[tuple[TrainConfig, tuple[str, ...]]]:
        """Each run, and the names of its alignments in the results."""
        plain = tuple(name for name in self.alignments if name != RECENTRED)
        for seed, detector, recentred in product(self.seeds, self.detectors, self._recentred()):
            names = (RECENTRED,) if recentred else plain
            yield self._run(detector, seed, recentred=recentred), names

    def _recentred(self) -> list[bool]:
        """Whether features as they are are wanted, recentred ones, or both."""
        return sorted({name == RECENTRED for name in self.alignments})

    def _run(self, detector: str, seed: int, *, recentred: bool) -> TrainConfig:
        words = [detector, self.config.backbone, *[RECENTRED] * recentred, str(seed)]
        out = self.config.out / "runs" / "-".join(words).replace("/", "_")
        changes = {"detector": detector, "seed": seed, "recentred": recentred}
        return replace(self.config, out=out, **changes)


def benchmark(grid: Grid) -> Path:
    """Measure what is not yet in the results, write the tables and return their file.

    Raises CheckpointError where the folder holds runs with other options than these.
    """
    progress = Progress()
    images = both_kinds(grid.config.data, Choice(exclude=grid.config.exclude))
    results = Results(grid.config.out / "results.jsonl")
    for config, names in grid.runs():
        progress.say(f"{config.out.name}: {', '.join(names)}")
        train(config)
        missing = [name for name in names if not results.has(_result(config, name))]
        if missing:
            wanted = ["none" if name == RECENTRED else name for name in missing]
            question = Question(wanted, device=config.device)
            for said in evaluate_run(config.out, images, question, progress):
                result = _result(config, RECENTRED if config.recentred else said.alignment)
                figures = figures_of(said, progress)
                results.add(replace(result, card=dict(said.card), figures=figures))
    file = grid.config.out / "results.md"
    file.write_text(tables(results.rows))
    progress.say(file.read_text())
    return file


def _result(config: TrainConfig, alignment: str) -> Result:
    return Result(config.detector, config.backbone, config.image_size, alignment, config.seed)
