"""Train and evaluate a grid of detectors, alignments and seeds; the same call goes on with it.

OUT/results.jsonl   one line a detector, alignment and seed, with all figures
OUT/results.md      the tables
OUT/runs/           the runs, each as `onegauge train` leaves it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from training.backbone import load_backbone
from training.benchmark.results import Result, Results
from training.benchmark.tables import tables
from training.config import TrainConfig
from training.detectors import DETECTORS
from training.errors import ConfigError
from training.evaluation.evaluate import both_kinds, figures_of
from training.evaluation.run import evaluate_run, require_known
from training.progress import Progress
from training.train import train

RECENTRED = "recentred"  # aligns features instead of maps, so it is a run of its own


@dataclass(frozen=True)
class Grid:
    """What is to be measured."""

    config: TrainConfig  # what all runs share; its `out` is the folder of the whole
    detectors: tuple[str, ...]
    alignments: tuple[str, ...]  # of `training.alignments.ALIGNMENTS`, or RECENTRED
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise a TrainingError for what cannot work, before hours are spent on what can."""
        for name in self.detectors:
            if name not in DETECTORS:
                raise ConfigError(f"no detector {name!r}; there are {', '.join(DETECTORS)}")
        require_known([name for name in self.alignments if name != RECENTRED])
        for config, _ in self.runs():
            backbone = load_backbone(
                config.backbone,
                config.stages,
                image_size=config.image_size,
                recentred=config.recentred,
                pretrained=False,
            )
            backbone.require_size(config.image_size)
            DETECTORS[config.detector](backbone)

    def runs(self) -> Iterator[tuple[TrainConfig, dict[str, str]]]:
        """Each run, and its alignments by the names that they have in the results."""
        plain = {name: name for name in self.alignments if name != RECENTRED}
        for seed in self.seeds:
            for detector in self.detectors:
                if plain:
                    yield self._run(detector, seed, recentred=False), plain
                if RECENTRED in self.alignments:
                    yield self._run(detector, seed, recentred=True), {RECENTRED: "none"}

    def _run(self, detector: str, seed: int, *, recentred: bool) -> TrainConfig:
        words = [detector, self.config.backbone, *[RECENTRED] * recentred, str(seed)]
        out = self.config.out / "runs" / "-".join(words).replace("/", "_")
        return replace(self.config, detector=detector, seed=seed, recentred=recentred, out=out)


def benchmark(grid: Grid) -> Path:
    """Measure what is not yet in the results, write the tables and return their file.

    Raises CheckpointError where the folder holds runs with other options than these.
    """
    progress = Progress()
    images = both_kinds(grid.config.data)
    results = Results(grid.config.out / "results.jsonl")
    for config, alignments in grid.runs():
        progress.say(f"{config.out.name}: {', '.join(alignments)}")
        train(config)
        own = {n: a for n, a in alignments.items() if not results.has(_result(config, n))}
        if own:
            chosen = tuple(own.values())
            names = {alignment: name for name, alignment in own.items()}
            for said in evaluate_run(config.out, images, chosen, None, config.device, progress):
                measured = figures_of(said, progress)
                result = _result(config, names[said.alignment])
                results.add(replace(result, card=dict(said.card), figures=measured))
    file = grid.config.out / "results.md"
    file.write_text(tables(results.rows))
    progress.say(file.read_text())
    return file


def _result(config: TrainConfig, alignment: str) -> Result:
    return Result(config.detector, config.backbone, config.image_size, alignment, config.seed)
