import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError

NOBODY = 65534
SIGNS = {
    "Mvtec": "bottle/test/good/000.png",
    "MvtecAd2": "can/test_public/good/000.png",
    "Visa": "split_csv/1cls.csv",
    "Btad": "01/train/ok/0000.bmp",
    "RealIad": "realiad_jsons/plug.json",
    "Kolektor": "train/10000_GT.png",
    "Dagm": "Class1/Train/Label/Labels.txt",
}


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("layout", SIGNS)
def test_a_layout_is_known_by_its_sign(tmp_path, layout):
    touch(tmp_path, SIGNS[layout])
    assert type(recognise(tmp_path)).__name__ == layout


@pytest.mark.parametrize(
    "name", ["a.jpg", "bottle/train/good/000.png", "bottle/test/rust/000.png", "Test/good.txt"]
)
def test_without_a_sign_of_another_a_folder_is_mvtec_style(tmp_path, name):
    touch(tmp_path, name)
    assert type(recognise(tmp_path)).__name__ == "Mvtec"


def test_the_training_folders_of_mvtec_ad_2_are_no_sign_of_the_first(tmp_path):
    touch(tmp_path, SIGNS["MvtecAd2"], "can/train/good/000.png", "can/validation/good/000.png")
    assert type(recognise(tmp_path)).__name__ == "MvtecAd2"


@pytest.mark.parametrize(
    ("first", "second"), [("Mvtec", "MvtecAd2"), ("Mvtec", "Btad"), ("Visa", "Dagm")]
)
def test_two_data_sets_in_one_folder_are_refused(tmp_path, first, second):
    touch(tmp_path, SIGNS[first], SIGNS[second])
    with pytest.raises(DataError, match="looks like .* and like"):
        recognise(tmp_path)


def test_products_that_only_train_are_not_lost_beside_a_data_set_that_lists_its_images(tmp_path):
    touch(tmp_path, SIGNS["Kolektor"], "bottle/train/good/000.png")
    with pytest.raises(DataError, match="MVTec AD and like KolektorSDD2"):
        recognise(tmp_path)


def test_what_is_no_folder_is_named(tmp_path):
    touch(tmp_path, "a.png")
    with pytest.raises(DataError, match="absent is not a folder"):
        recognise(tmp_path / "absent")
    with pytest.raises(DataError, match=r"a\.png is a file, not a folder"):
        recognise(tmp_path / "a.png")
    with pytest.raises(DataError, match="x" * 300):
        recognise(tmp_path / ("x" * 300))


def test_a_folder_that_may_not_be_read_is_named():
    me = os.geteuid()
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / "locked").mkdir(0o000)
        try:
            if me == 0:  # who may read everything
                os.seteuid(NOBODY)
            with pytest.raises(DataError, match=f"cannot read the folder {folder}/locked"):
                recognise(Path(folder))
        finally:
            os.seteuid(me)
