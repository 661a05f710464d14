import json
from dataclasses import replace
from pathlib import Path

import pytest

from onegauge.training.benchmark.benchmark import Grid, benchmark
from onegauge.training.config import TrainConfig
from onegauge.training.errors import BackboneError, CheckpointError, ConfigError, DataError

OPTIONS = {"image_size": 128, "bank_size": 200, "epochs": 1, "false_alarm_rate": 0.05}


@pytest.fixture(scope="module")
def grid(product_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """A grid that was measured; a test must not change what is in it."""
    out = tmp_path_factory.mktemp("benchmark") / "grid"
    config = TrainConfig(product_tree, out, resume=True, device="cpu", **OPTIONS)
    grid = Grid(config, ("patchcore", "dinomaly"), ("none", "cada"), (3,))
    benchmark(grid)
    return grid


def measured(grid: Grid) -> list[dict]:
    lines = (grid.config.out / "results.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_cell_is_measured_once(grid):
    cells = [(row["detector"], row["alignment"], row["seed"]) for row in measured(grid)]
    assert sorted(cells) == sorted(
        (detector, alignment, seed)
        for detector in grid.detectors
        for alignment in grid.alignments
        for seed in grid.seeds
    )
    for row in measured(grid):
        assert row["figures"]["pooled"]["image_auroc"] > 0.5
        assert row["card"]["detector"] == row["detector"]


def test_the_tables_have_a_row_of_each_detector_and_alignment(grid):
    text = (grid.config.out / "results.md").read_text()
    for detector in grid.detectors:
        for alignment in grid.alignments:
            assert f"| {detector} | starter, 128² | {alignment} | 1 |" in text


def test_it_goes_on_with_what_is_missing_and_trains_nothing_twice(grid):
    before = measured(grid)
    weights = sorted(grid.config.out.glob("runs/*/checkpoint.safetensors"))
    times = [file.stat().st_mtime_ns for file in weights]
    benchmark(replace(grid, alignments=("none", "cada", "class-aware", "cada-paper")))
    after = measured(grid)
    assert after[: len(before)] == before
    added = {row["alignment"] for row in after[len(before) :]}
    assert added == {"class-aware", "cada-paper"}
    assert [file.stat().st_mtime_ns for file in weights] == times


def test_other_options_do_not_mix_with_what_was_measured(grid):
    other = replace(grid, config=replace(grid.config, bank_size=300))
    with pytest.raises(CheckpointError, match="another bank_size"):
        benchmark(other)


@pytest.mark.parametrize(
    ("names", "error", "told"),
    [
        ({"detectors": ("patchcore", "magic")}, ConfigError, "'magic'; there are gallery"),
        ({"alignments": ("cada", "mean")}, DataError, "'mean'; there are cada"),
        ({"alignments": ("cada", "recentred")}, BackboneError, "class token"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_trained(tmp_path, names, error, told):
    config = TrainConfig(tmp_path, tmp_path / "out", device="cpu", **OPTIONS)
    choice = {"detectors": ("patchcore",), "alignments": ("cada",), "seeds": (0,), **names}
    with pytest.raises(error, match=told):
        Grid(config, **choice)


def test_what_is_left_out_is_neither_trained_nor_tested_on(product_tree, tmp_path):
    choice = {"exclude": ("cloth", "wood"), "include": ("metal/train",)}
    config = TrainConfig(product_tree, tmp_path, resume=True, device="cpu", **OPTIONS, **choice)
    grid = Grid(config, ("patchcore",), ("none",), (0,))
    benchmark(grid)
    (row,) = measured(grid)
    assert list(row["figures"]["per_product"]) == ["metal"]
    assert row["card"]["training images"] == "20"  # all of the product's


def test_recentring_is_a_run_of_its_own(tmp_path):
    config = TrainConfig(tmp_path, tmp_path / "out", backbone="vit_tiny_patch16_224", **OPTIONS)
    plain, recentred = Grid(config, ("dinomaly",), ("cada", "recentred"), (0,)).runs()
    assert (plain[0].recentred, plain[1]) == (False, ("cada",))
    assert (recentred[0].recentred, recentred[1]) == (True, ("recentred",))
    assert plain[0].out != recentred[0].out
