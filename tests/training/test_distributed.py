"""Two processes over gloo train as one does, on the same images a step."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from onegauge.training.checkpoint import load
from onegauge.training.config import TrainConfig
from onegauge.training.distributed import mean, share, size, together
from onegauge.training.errors import TrainingError
from onegauge.training.train import train
from rig.address import free_address
from tests.training.fitting import NAMES

ROOT = Path(__file__).parents[2]
FITTING = [sys.executable, "-m", "tests.training.fitting"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of what one process gives, and two."""
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    host, port = free_address().split(":")
    place = {**os.environ, "MASTER_ADDR": host, "MASTER_PORT": port, "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen([*FITTING, *folders], env=place | {"RANK": rank}, cwd=ROOT)
        for rank in ("0", "1")
    ]
    assert [process.wait() for process in started] == [0, 3]
    return folders


def told(folder: Path) -> dict[str, list[str]]:
    return dict(json.loads((folder / "told-0.json").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_weights_are_those_of_one_process(fitted, name):
    one, two = fitted
    assert told(two)[name] == told(one)[name]
    assert len(told(one)[name]) == 4
    expected, found = (load_file(folder / f"{name}-0.safetensors") for folder in fitted)
    for key, values in expected.items():
        assert torch.allclose(found[key], values, rtol=1e-6, atol=1e-8), key


@pytest.mark.parametrize("name", NAMES)
def test_all_processes_end_with_the_same_weights(fitted, name):
    _, two = fitted
    first, second = (load_file(two / f"{name}-{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(second[key], values) for key, values in first.items())


def test_ctrl_c_in_one_stops_all_after_the_same_step_and_they_go_on_there(fitted):
    for folder in fitted:
        assert told(folder)["again"] == told(folder)[NAMES[-1]][2:]
        again, whole = (load_file(folder / f"{n}-0.safetensors") for n in ("again", NAMES[-1]))
        assert all(torch.equal(again[key], values) for key, values in whole.items())


def test_where_one_dies_the_others_say_so_at_once(fitted):
    _, two = fitted
    assert "another process of this training has ended" in (two / "error.txt").read_text()


def noise(folder: Path) -> Path:
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_torchrun_makes_the_run_of_one_process_with_as_many_images_a_step(tmp_path):
    (tmp_path / "noise").mkdir()
    data, out = noise(tmp_path / "noise"), tmp_path / "two"
    options = ["--detector", "dinomaly", "--image-size", "64", "--false-alarm-rate", "0.1"]
    options += ["--epochs", "1", "--batch-size", "2", "--device", "cpu"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "onegauge", "train", *options]
    done = subprocess.run(
        [*command, "--data", data, "--out", out], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("20 of 20 files are taken") == done.stderr.count("fitted on") == 1
    one = TrainConfig(data, tmp_path / "one", "dinomaly", image_size=64, false_alarm_rate=0.1)
    expected = train(replace(one, epochs=1, batch_size=4, device="cpu"))
    found = load(out)
    assert replace(found.config, out=one.out) == expected.config
    assert found.fitted_files == expected.fitted_files
    assert torch.allclose(found.evidence.maps, expected.evidence.maps, rtol=0.02)
    assert sorted(file.name for file in out.iterdir()) == sorted(
        file.name for file in one.out.iterdir()
    )


def test_a_process_that_was_told_of_others_but_not_of_where_they_are_says_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"WORLD_SIZE is 2, but .* start them by torchrun"):
        together("cpu").__enter__()


def test_one_process_needs_nobody():
    with together("cpu"):
        assert size() == 1
        assert mean(3.0, True) == [3.0, 1.0]
        assert share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
