"""Training over workers of a real Ray cluster, each a process."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onegauge.cluster import ClusterError, running_ray
from onegauge.training.config import TrainConfig
from onegauge.training.data.digest import file_digest
from onegauge.training.errors import BackboneError, ConfigError, DataError
from onegauge.training.ray_workers import RayWorkers
from onegauge.training.train import train


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images, two of which are damaged and one a copy."""
    folder = tmp_path_factory.mktemp("line")
    rng = np.random.default_rng(0)
    for number in range(37):
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(folder / f"{number}.png")
    shutil.copy(folder / "7.png", folder / "7-again.png")
    (folder / "8.png").write_bytes((folder / "8.png").read_bytes()[:5000])
    (folder / "9.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def workers(ray_address: str) -> Iterator[RayWorkers]:
    with running_ray(ray_address):
        yield RayWorkers()


def config(line: Path, out: Path) -> TrainConfig:
    small = {"image_size": 64, "batch_size": 4, "bank_size": 50, "false_alarm_rate": 0.1}
    return TrainConfig(line, out, **small, allow_unreadable=True, device="cpu")


def content(run: Path) -> dict[str, object]:
    """The digest of each file of tensors, and the record but for what names time or place."""
    record = json.loads((run / "checkpoint.json").read_text())
    del record["calibrated_at"], record["config"]["out"]
    record["origins"] = [origin[:-1] for origin in record["origins"]]
    return {file.name: file_digest(file) for file in run.glob("*.safetensors")} | record


@dataclass(frozen=True)
class Mortal(RayWorkers):
    """Workers of which in each of the first steps one dies, which leaves a file."""

    folder: Path
    steps: int

    def map(self, function: Callable, chunks: Iterable) -> Iterator:
        died = len([*self.folder.iterdir()])
        marker = self.folder / f"{died}"

        def dying(numbered: tuple[int, object]) -> object:
            number, chunk = numbered
            if number == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return function(chunk)

        mortal = dying if died < self.steps else lambda numbered: function(numbered[1])
        yield from super().map(mortal, enumerate(chunks))


def test_the_run_is_to_the_byte_that_of_one_process(line, tmp_path, workers):
    one = replace(config(line, tmp_path / "one"), detector="patchcore")
    train(one)
    train(replace(one, out=tmp_path / "ray"), workers)
    assert len([*(tmp_path / "ray").glob("*.safetensors")]) == 3
    assert content(tmp_path / "ray") == content(tmp_path / "one")


@pytest.mark.usefixtures("workers")
def test_workers_that_die_are_replaced_and_the_run_is_the_same(line, tmp_path, monkeypatch):
    monkeypatch.setattr("onegauge.training.backbones.compiled.ENOUGH", 30)  # as of more images
    (tmp_path / "died").mkdir()
    train(config(line, tmp_path / "one"))
    train(config(line, tmp_path / "ray"), Mortal(tmp_path / "died", 2))
    assert len([*(tmp_path / "died").iterdir()]) == 2  # in reading and in memories
    assert content(tmp_path / "ray") == content(tmp_path / "one")


def test_damaged_images_are_told_as_in_one_process(line, tmp_path, workers, capsys):
    told = []
    for place, who in (("one", None), ("ray", workers)):
        with pytest.raises(DataError) as refused:
            train(replace(config(line, tmp_path / place), allow_unreadable=False), who)
        warnings = [x for x in capsys.readouterr().err.splitlines() if "skipped" in x]
        told.append((str(refused.value), warnings))
    assert told[0] == told[1]
    assert len(told[0][1]) == 2


def test_an_error_of_a_worker_is_raised_as_it_is(workers):
    def refuse(chunk: int) -> int:
        raise BackboneError(f"chunk {chunk} is no number")

    with pytest.raises(BackboneError, match=r"^chunk 0 is no number$"):
        next(workers.map(refuse, range(4)))


def test_what_a_machine_lacks_is_named(workers):
    def lacking(_chunk: int) -> None:
        raise ModuleNotFoundError("No module named 'timm'")

    with pytest.raises(ClusterError, match="lacks what training needs: No module named 'timm'"):
        next(workers.map(lacking, range(2)))


def test_a_chunk_that_kills_every_worker_ends_the_training(workers, monkeypatch):
    monkeypatch.setattr("onegauge.training.ray_workers.RETRIES", 0)  # three more take as long each
    with pytest.raises(ClusterError, match="could not compute a part of the training"):
        next(workers.map(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(1)))


def test_a_gpu_is_refused(workers):
    with pytest.raises(ConfigError, match="not on cuda: --device cpu"):
        workers.require(torch.device("cuda"))
    workers.require(torch.device("cpu"))
