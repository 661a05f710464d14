from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from onegauge.training.data import dataset
from onegauge.training.data.dataset import (
    Unreadable,
    mask_of,
    picture_of,
    readable,
    training_images,
)
from onegauge.training.data.digest import file_digest
from onegauge.training.errors import DataError


def touch(root: Path, *names: str) -> list[Path]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return [root / name for name in names]


def test_a_tree_trains_on_everything_but_test_and_masks(tmp_path):
    wanted = touch(
        tmp_path, "nut/train/good/0.png", "ring/train/good/0.png", "ring/validation/good/1.png"
    )
    touch(tmp_path, "nut/test/good/0.png", "nut/test/rust/0.png", "nut/ground_truth/rust/0.png")
    assert training_images(tmp_path) == wanted


def test_a_flat_or_deep_folder_trains_in_sorted_order(tmp_path):
    wanted = touch(tmp_path, "a.jpg", "b/c/d/e.jpg", "f.jpg")
    assert training_images(tmp_path) == wanted


def test_a_folder_below_one_named_test_is_trained_on(tmp_path):
    wanted = touch(tmp_path / "test", "a.jpg", "test.png")
    assert training_images(tmp_path / "test") == wanted


def test_the_suffix_tells_what_is_an_image(tmp_path):
    names = ("a.JPG", "b.bmp", "c.jpeg", "d.png", "e.tif", "f.tiff", "g.webp", "i.jfif", "j.JPE")
    wanted = touch(tmp_path, *names)
    touch(tmp_path, "notes.txt", "Thumbs.db", "h.gif")
    (tmp_path / "folder.png").mkdir()
    assert training_images(tmp_path) == wanted


@pytest.mark.parametrize("name", [".", "absent", "only"])
def test_a_folder_without_training_images_is_named(tmp_path, name):
    touch(tmp_path, "only/test/good/0.png", "only/notes.txt")
    root = tmp_path / name if name != "." else tmp_path / "only" / "test" / "none"
    with pytest.raises(DataError, match=str(root)):
        training_images(root)


def test_test_images_are_labelled_by_their_folders(tmp_path):
    touch(tmp_path, "nut/test/good/0.png", "nut/test/rust/0.png", "set/ring/test/chip/0.png")
    touch(tmp_path, "nut/train/good/0.png", "nut/ground_truth/rust/0.png", "loose.png")
    found = [(i.product, i.anomalous, i.defect) for i in dataset.test_images(tmp_path)]
    assert found == [("nut", False, "good"), ("nut", True, "rust"), ("set/ring", True, "chip")]


def test_one_product_alone_is_named_after_its_folder(tmp_path):
    touch(tmp_path / "nut", "test/good/0.png")
    (image,) = dataset.test_images(tmp_path / "nut")
    assert (image.product, image.anomalous) == ("nut", False)


def test_a_folder_without_test_images_is_named(tmp_path):
    touch(tmp_path, "nut/train/good/0.png")
    with pytest.raises(DataError, match=str(tmp_path)):
        dataset.test_images(tmp_path)


def evaluated(tmp_path: Path, picture: Image.Image, mask: Image.Image | None):
    """A defective test image as `test_images` gives it, saved with its EXIF."""
    touch(tmp_path, "nut/test/good/0.png", "nut/test/rust/0.png")
    picture.save(tmp_path / "nut" / "test" / "rust" / "0.png", exif=picture.getexif())
    if mask is not None:
        touch(tmp_path, "nut/ground_truth/rust/0.png")
        mask.save(tmp_path / "nut" / "ground_truth" / "rust" / "0.png")
    _, image = dataset.test_images(tmp_path)
    return image


def test_a_mask_is_scaled_as_its_image_is(tmp_path):
    picture = Image.new("L", (60, 20))
    picture.paste(255, (30, 0, 60, 10))  # the upper right quarter
    image = evaluated(tmp_path, picture, picture)
    marks = mask_of(image, 10)
    assert marks.tolist() == (picture_of(image.path, 10).pixels[0][..., 0] > 127).tolist()
    assert marks.sum() == 25


def test_the_mask_of_a_turned_image_is_drawn_upright(tmp_path):
    picture = Image.new("L", (20, 60))
    picture.getexif()[ExifTags.Base.Orientation] = 6
    upright = Image.new("L", (60, 20))
    upright.paste(255, (0, 0, 30, 20))
    assert mask_of(evaluated(tmp_path, picture, upright), 2).tolist() == [[True, False]] * 2
    as_stored = Image.new("L", (20, 60), 255)
    with pytest.raises(DataError, match="20 x 60 pixels, its image .* 60 x 20"):
        mask_of(evaluated(tmp_path, picture, as_stored), 2)


def test_an_anomaly_of_unknown_place_has_no_mask(tmp_path):
    picture = Image.new("L", (6, 6))
    assert mask_of(evaluated(tmp_path, picture, None), 3) is None
    assert mask_of(evaluated(tmp_path, picture, Image.new("L", (6, 6), 0)), 3) is None


def test_a_mask_of_another_size_names_both_files(tmp_path):
    image = evaluated(tmp_path, Image.new("L", (6, 6)), Image.new("L", (6, 5), 255))
    with pytest.raises(DataError, match="ground_truth/rust/0.png has 6 x 5 .*test/rust/0.png 6 x"):
        mask_of(image, 3)


@pytest.mark.parametrize("folder", ["test", "ground_truth"])
def test_a_file_that_keeps_a_mask_from_being_used_is_named(tmp_path, folder):
    image = evaluated(tmp_path, Image.new("L", (6, 6)), Image.new("L", (6, 6), 255))
    (tmp_path / "nut" / folder / "rust" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=f"{folder}/rust/0.png cannot be read"):
        mask_of(image, 3)


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff", "jpg"])
def test_every_format_gives_the_same_picture(tmp_path, suffix):
    picture = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    options = {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(suffix, {})
    picture.save(tmp_path / f"p.{suffix}", **options)
    found = picture_of(tmp_path / f"p.{suffix}", 16)
    assert found.digest == file_digest(tmp_path / f"p.{suffix}")
    pixels = found.pixels[0]
    expected = np.asarray(picture.resize((16, 16), Image.Resampling.BILINEAR), int)
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels - expected).max() <= 2


def test_what_cannot_be_read_is_told_in_its_place(tmp_path):
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = [tmp_path / name for name in ("bad.png", "good.png", "gone.png")]
    read = dict(readable(paths, 8))
    assert list(read) == paths
    assert read[paths[1]].pixels.tolist() == [[[[1, 2, 3]] * 8] * 8]
    for path in (paths[0], paths[2]):
        assert isinstance(read[path], Unreadable)
        assert read[path].path == path
        assert read[path].reason
