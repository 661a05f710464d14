import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onegauge.export.errors import ExportError
from onegauge.export.held_out import HeldOut
from onegauge.library.library import Origin
from onegauge.service.imaging.depth import Depth
from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.data.dataset import picture_of
from onegauge.training.data.digest import file_digest


@pytest.fixture(scope="module")
def checkpoint(trained_run) -> Checkpoint:
    return load(trained_run)


@pytest.fixture
def folder(product_tree, tmp_path) -> Path:
    """A copy of the training images elsewhere, which a test may change."""
    return shutil.copytree(product_tree, tmp_path / "moved")


def test_pictures_are_those_of_the_evidence_in_its_order(checkpoint):
    pictures = np.concatenate([*HeldOut.of(checkpoint, None).pictures()])
    gauge, evidence = checkpoint.gauge(), checkpoint.evidence
    groups = torch.tensor(HeldOut.of(checkpoint, None).own)
    with torch.inference_mode():
        scores = gauge(torch.from_numpy(pictures), groups).raw_score
    expected = gauge.scoring(evidence.maps[evidence.held_out].float())
    assert len(scores) == checkpoint.calibration_images
    torch.testing.assert_close(scores, expected, rtol=1e-2, atol=1e-2)


def test_images_may_have_moved(checkpoint, folder):
    there, here = (HeldOut.of(checkpoint, place) for place in (None, folder))
    assert {folder} <= {*next(iter(here.files)).parents}
    for mine, other in zip(here.pictures(), there.pictures(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_images_are_read_by_the_depth_of_the_training(checkpoint, tmp_path):
    ramp = np.linspace(0, 2**12 - 1, 128 * 128).reshape(128, 128).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    origin = Origin("deep.png", file_digest(tmp_path / "deep.png"), 128, 128, 0)
    named = {"origins": (origin,) * len(checkpoint.origins), "fitted_files": ("deep.png",)}
    deep = replace(checkpoint, **named, depth=Depth(12))
    held_out = HeldOut.of(deep, tmp_path)
    for pixels in (*held_out.pictures(), *held_out.fitted_on(1)):
        assert pixels.max() == 255


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_images_that_are_not_as_they_were_are_refused(checkpoint, folder, harm):
    last = folder / [*checkpoint.calibration_files][-1]
    if harm == "missing":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes() + b"\0")
    with pytest.raises(ExportError, match=rf"{last}.*--images") as told:
        HeldOut.of(checkpoint, folder)
    assert ("has changed" if harm == "changed" else "cannot be read") in str(told.value)


def test_what_was_fitted_on_is_no_copy_of_what_was_held_out(split_run, folder):
    held_out = HeldOut.of(split_run, folder)
    another_shot = folder / "wood" / "train" / "good" / "new.jpg"  # of a part that was held out
    shutil.copy(folder / "wood" / "test" / "good" / "0000.jpg", another_shot)
    copied, damaged, *_ = held_out.fitted
    shutil.copy(next(iter(held_out.files)), copied)
    damaged.write_bytes(b"no image")
    mine = {tiles.tobytes() for tiles in held_out.pictures()}
    fitted = {image.tobytes() for image in held_out.fitted_on(1000)}
    assert len(fitted) == 60 - len(mine) - 2 == 39
    assert picture_of(another_shot, 64).pixels.tobytes() not in fitted
    assert not fitted & mine
    assert len(held_out.fitted_on(7)) == 7


def test_all_was_fitted_on_where_each_is_left_out_in_turn(checkpoint):
    held_out = HeldOut.of(checkpoint, None)
    mine = {tiles.tobytes() for tiles in held_out.pictures()}
    assert {image.tobytes() for image in held_out.fitted_on(1000)} == mine


def test_folder_with_nothing_that_was_fitted_on_cannot_scale(checkpoint, folder):
    held_out = HeldOut.of(checkpoint, folder)
    for file in held_out.fitted:
        file.unlink()
    with pytest.raises(ExportError, match=rf"{folder} has none of the images.*--images"):
        held_out.fitted_on(128)


def test_sample_takes_a_tile_of_each_picture(checkpoint):
    cut = replace(checkpoint, config=replace(checkpoint.config, tile=64, image_size=32))
    held_out = HeldOut.of(cut, None)
    tiles = [*held_out.pictures()]
    assert {picture.shape for picture in tiles} == {(4, 32, 32, 3)}
    sample, groups = held_out.sample(5)
    assert sample.shape == (5, 32, 32, 3)
    assert len({*groups}) == 5
    pictures = dict(zip(held_out.own, tiles, strict=True))
    for image, group in zip(sample, groups, strict=True):
        assert image.tobytes() in {tile.tobytes() for tile in pictures[group]}
