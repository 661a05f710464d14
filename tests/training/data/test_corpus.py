import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onegauge.training.backbones.backbone import load_backbone
from onegauge.training.backbones.embedding import deviations
from onegauge.training.config import TrainConfig
from onegauge.training.data.corpus import Corpus, read_corpus
from onegauge.training.data.dataset import training_selection
from onegauge.training.errors import BackboneError, CheckpointError, DataError
from onegauge.training.progress import Progress


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("starter", (1, 2, 3))


def folder(root: Path, good: int, bad: int) -> TrainConfig:
    """A folder of small noise images among which some are damaged."""
    data = root / "data"
    data.mkdir()
    for i in range(good):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(data / f"{i:02}.png")
    for i in range(bad):
        (data / f"0{i}-bad.png").write_bytes(b"no image")
    return TrainConfig(data, root / "run", image_size=32, batch_size=3)


def read(config: TrainConfig, backbone) -> Corpus:
    state = config.out / "state"
    state.mkdir(parents=True, exist_ok=True)
    selection = training_selection(config.data, config.choice)
    return read_corpus(selection, config, backbone, state, Progress())


def test_features_and_descriptors_are_the_backbones_of_each_image(tmp_path, backbone):
    config = folder(tmp_path, 7, 0)
    corpus = read(config, backbone)
    assert [path.name for path in corpus.paths] == [f"{i:02}.png" for i in range(7)]
    pixels = np.asarray(Image.open(corpus.paths[4]).resize((32, 32), Image.Resampling.BILINEAR))
    features = backbone(torch.from_numpy(pixels.copy())[None])
    assert np.array_equal(corpus.features.batch([4]).image[0].numpy(), pixels)
    for stored, expected in zip(corpus.features.batch([4]).stages, features, strict=True):
        assert torch.allclose(stored, expected, atol=1e-2, rtol=1e-2)
    assert torch.allclose(corpus.deviations[4], deviations(features)[0], atol=1e-3)


def test_a_few_unreadable_images_are_named_skipped_and_shift_nothing(tmp_path, backbone, capsys):
    config = folder(tmp_path, 39, 2)
    corpus = read(config, backbone)
    told = capsys.readouterr().err
    assert all(f"skipped {config.data}/0{i}-bad.png: " in told for i in range(2))
    assert len(corpus.paths) == len(corpus.features) == len(corpus.deviations) == 39
    (tmp_path / "clean").mkdir()
    clean = read(folder(tmp_path / "clean", 39, 0), backbone)
    assert torch.allclose(clean.deviations, corpus.deviations, atol=1e-4)
    for found, expected in zip(
        corpus.features.batch([38]).stages, clean.features.batch([38]).stages, strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-2)


def test_too_many_unreadable_images_are_refused_unless_insisted(tmp_path, backbone):
    config = folder(tmp_path, 18, 2)
    with pytest.raises(DataError, match=r"2 of 20 .*--allow-unreadable"):
        read(config, backbone)
    assert len(read(replace(config, allow_unreadable=True), backbone).paths) == 18


def test_nothing_readable_is_refused_even_when_insisted(tmp_path, backbone):
    config = replace(folder(tmp_path, 0, 2), allow_unreadable=True)
    with pytest.raises(DataError, match="none of the 2 images"):
        read(config, backbone)


def test_a_corpus_once_read_is_reopened(tmp_path, backbone, monkeypatch):
    config = folder(tmp_path, 5, 0)
    first = read(config, backbone)
    monkeypatch.delattr("onegauge.training.data.reading.picture_in")  # nothing is decoded again
    again = read(config, backbone)
    assert again.paths == first.paths
    assert torch.equal(again.features.batch([2]).stages[0], first.features.batch([2]).stages[0])


def test_a_name_that_is_not_unicode_is_read_and_reopened(tmp_path, backbone):
    config = folder(tmp_path, 3, 0)
    name = os.fsdecode(b"caf\xe9.png")  # Latin-1
    (config.data / "02.png").rename(config.data / name)
    first = read(config, backbone)
    assert [path.name for path in first.paths] == ["00.png", "01.png", name]
    assert read(config, backbone).paths == first.paths


@pytest.mark.parametrize("file", ["corpus.json", "descriptors.safetensors", "stage0.npy"])
def test_a_torn_file_is_named_as_what_cannot_be_resumed_from(tmp_path, backbone, file):
    config = folder(tmp_path, 3, 0)
    read(config, backbone)
    content = (config.out / "state" / file).read_bytes()
    for torn in (b"", content[: len(content) // 2]):
        (config.out / "state" / file).write_bytes(torn)
        with pytest.raises(CheckpointError, match=f"cannot resume from {config.out}"):
            read(config, backbone)


@pytest.mark.parametrize("change", ["written", "added", "removed"])
def test_the_first_image_that_changed_meanwhile_is_named(tmp_path, backbone, change):
    config = folder(tmp_path, 3, 0)
    read(config, backbone)
    image = config.data / "01.png"
    if change == "removed":
        image.unlink()
    else:
        image = image if change == "written" else config.data / "01b.png"
        image.write_bytes((config.data / "00.png").read_bytes() + b" ")
    with pytest.raises(CheckpointError, match=f"1 in all, first {image.name}: begin anew"):
        read(config, backbone)


def test_files_with_the_same_pixels_count_once_and_the_first_is_kept(tmp_path, backbone, capsys):
    config = folder(tmp_path, 5, 0)
    (config.data / "01b.png").write_bytes((config.data / "01.png").read_bytes())
    Image.open(config.data / "03.png").save(config.data / "00.bmp")  # other bytes
    corpus = read(config, backbone)
    names = [path.name for path in corpus.paths]
    assert names == ["00.bmp", "00.png", "01.png", "02.png", "04.png"]
    assert corpus.copies == 2
    assert len(corpus.features) == len(corpus.quarters) == 5
    told = capsys.readouterr().err
    assert (
        f"2 of 7 files are copies of others and are left out, first {config.data}/01b.png" in told
    )
    assert read(config, backbone).copies == 2
    pixels = corpus.features.batch([4]).image[0].numpy()
    assert np.array_equal(
        pixels, np.asarray(Image.open(config.data / "04.png").resize((32, 32), 2))
    )


def test_names_tell_parts_and_groups_where_asked_for(tmp_path, backbone):
    config = replace(folder(tmp_path, 6, 0), group_by=r"(\d)[0-2]")
    for old, new in (("03", "10"), ("04", "11"), ("05", "12")):
        (config.data / f"{old}.png").rename(config.data / f"{new}.png")
    corpus = read(config, backbone)
    assert corpus.parts.tolist() == [0, 0, 0, 1, 1, 1]
    assert corpus.features.sources.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(read(config, backbone).parts, corpus.parts)


def test_a_name_without_a_part_is_said_before_anything_is_read(tmp_path, backbone, monkeypatch):
    config = replace(folder(tmp_path, 3, 0), group_by="(part)")
    monkeypatch.delattr("onegauge.training.data.reading.picture_in")
    with pytest.raises(DataError, match=r"--group-by '\(part\)' does not match 00\.png"):
        read(config, backbone)


def test_features_that_are_no_numbers_are_named_with_what_may_be_wrong(tmp_path, backbone):
    config = folder(tmp_path, 3, 0)

    def overflowing(image: torch.Tensor) -> list[torch.Tensor]:
        return [stage * 1e6 for stage in backbone(image)]

    overflowing.mean = backbone.mean
    with pytest.raises(BackboneError, match="no finite numbers in fp16"):
        read(config, overflowing)
