from pathlib import Path

import pytest

from onegauge.training.data.layouts.arrangement import Arrangement
from onegauge.training.data.layouts.verdict import Outcome

TAKEN, LEFT_OUT, UNDECIDED = Outcome.TAKEN, Outcome.LEFT_OUT, Outcome.UNDECIDED


def outcomes(*names: str) -> dict[str, Outcome]:
    """What becomes of each image of a tree in training."""
    arrangement = Arrangement(map(Path, names))
    return {name: arrangement.for_training(Path(name)).outcome for name in names}


@pytest.mark.parametrize(
    ("normal", "other"),
    [
        ("good/1.png", "NG/1.png"),
        ("OK/1.png", "NG/day1/1.png"),
        ("ok/1.png", "nok/1.png"),
        ("1.png", "rejects/1.png"),
        ("Train/1.png", "Test/1.png"),
        ("TRAIN/Good/1.png", "TEST/Good/1.png"),
        ("train/good/1.png", "train/bad/1.png"),
        ("bottle/Train/good/1.png", "bottle/Ground_Truth/rust/1.png"),
        ("images/2.png", "masks/1.png"),
        ("ok_front/1.png", "def_front/1.png"),
        ("良品/1.png", "不良/1.png"),
        ("ok_001.png", "ng_002.png"),
        ("good_1.jpg", "7_bad.jpg"),
        ("1.png", "2_NG.png"),
        ("2.png", "1_mask.png"),
        ("monday/1.png", "monday/defects/1.png"),
        ("good/1.png", "good/NG/1.png"),
        ("val/good/1.png", "val/ng/1.png"),
        ("train_ok/1.png", "test_ok/1.png"),
        ("images/1.png", "test_good/1.png"),
    ],
)
def test_what_names_call_a_defect_a_test_or_a_mask_is_left_out(normal, other):
    assert outcomes(normal, other) == {normal: TAKEN, other: LEFT_OUT}


@pytest.mark.parametrize(
    ("normal", "other"),
    [
        ("good/1.png", "scratch/1.png"),
        ("good/1.png", "blowhole/1.png"),
        ("train/good/1.png", "train/odd/1.png"),
        ("good/1.png", "1.png"),
        ("ok_1.png", "blowhole_1.png"),
        ("bottle/1.png", "crack/1.png"),
        ("bottle/1.png", "dent_1.png"),
        ("bottle_train/1.png", "bottle_test/1.png"),
        ("OK/1.png", "NG/normal/1.png"),
        ("bottle/train/good/1.png", "test/train/good/1.png"),
        ("bottle/train/good/1.png", "mask/train/good/1.png"),
    ],
)
def test_what_names_leave_open_is_undecided(normal, other):
    assert outcomes(normal, other) == {normal: TAKEN, other: UNDECIDED}


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "test.png", "label_1.png"),
        ("goodyear/1.png", "badge/1.png", "testament/1.png", "nougat/1.png"),
        ("monday/late/1.png", "line 4/brackets/a.tif"),
        ("bottle/good/1.png", "cap/good/1.png"),
        ("crack/train/good/1.png", "error_lamp/train/good/1.png"),
        ("good/bottle/1.png", "good/day2/cap/1.png"),
        ("OK_1/1.png", "OK_2/1.png"),
        ("train/good/1.png", "validation/good/1.png"),
    ],
)
def test_products_days_and_normal_images_are_taken(names):
    assert set(outcomes(*names).values()) == {TAKEN}


def test_what_is_undecided_is_told_with_what_it_lies_beside():
    arrangement = Arrangement([Path("nut/good/1.png"), Path("nut/x[1]/a/1.png"), Path("nut/2.PNG")])
    odd, loose = (arrangement.for_training(Path(n)) for n in ("nut/x[1]/a/1.png", "nut/2.PNG"))
    assert (odd.where, odd.why) == ("nut/x[[]1]", "beside nut/good")
    assert loose.where == "nut/*.PNG"


def test_names_of_files_that_may_mean_defects_are_told_where_no_other_name_is_a_label():
    verdict = Arrangement([Path("1.png"), Path("2-bad.png")]).for_training(Path("2-bad.png"))
    assert verdict.is_taken
    assert "may mean defects" in verdict.why


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/1.png", "masks/1.png"),
        ("Line4/images/Day1/A.JPG", "Line4/Masks/day1/a_mask.png"),
        ("1.png", "masks/1.png"),
        ("a/1.png", "a/1_gt.png"),
        ("train/images/1.png", "train/masks/1.png"),
        ("images/train/1.png", "masks/train/1.png"),
        ("train/1.png", "masks/train/1.png"),
    ],
)
def test_an_image_that_has_a_mask_is_no_normal_one(image, mask):
    assert outcomes(image, mask) == {image: LEFT_OUT, mask: LEFT_OUT}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/good/1.png", "ground_truth/good/1.png"),
        ("train/1.png", "ground_truth/1.png"),
        ("good/1.png", "masks/1.png"),
        ("images/day1/1.png", "masks/day2/1.png"),
    ],
)
def test_the_mask_of_a_test_image_is_not_that_of_a_training_image_of_its_name(image, mask):
    assert outcomes(image, mask) == {image: TAKEN, mask: LEFT_OUT}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("test/good/1.png", "good"),
        ("test/good/day1/1.png", "good"),
        ("test/rust/day1/1.png", "rust"),
        ("test/bottle/OK/1.png", "OK"),
        ("test/bottle/rust/1.png", "rust"),
        ("test_NG/1.png", "test_NG"),
        ("bottle/Test/rust/1.png", "rust"),
        ("cap/Test/NG/day1/1.png", "NG"),
        ("test/1.png", None),
        ("cap/test/day1/cam2/1.png", None),
    ],
)
def test_a_label_is_the_folder_beside_the_normal_ones_or_named_like_one(name, label):
    trees = {"test/bottle": ["test/bottle/OK/0.png"], "cap": []}
    beside = next((names for start, names in trees.items() if name.startswith(start)), None)
    arrangement = Arrangement(
        map(Path, [name, *(["test/good/0.png"] if beside is None else beside)])
    )
    split = next(i for i, f in enumerate(Path(name).parts) if f.lower().startswith("test"))
    assert arrangement.label_of(Path(name), split) == label


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("bottle/Train/good/1.png", "bottle"),
        ("line4/bottle/TEST/rust/1.png", "line4/bottle"),
        ("Train/good/1.png", ""),
        ("Train/bottle/good/1.png", "bottle"),
        ("test/bottle/good/day1/1.png", "bottle"),
        ("line4/bottle/good/1.png", "line4/bottle"),
        ("good/day1/1.png", ""),
        ("monday/late/1.png", "monday"),
        ("NG/1.png", ""),
        ("1.png", ""),
    ],
)
def test_a_product_is_told_by_the_folders_above_splits_and_labels(name, product):
    assert Arrangement([Path(name)]).product_of(Path(name)) == product
