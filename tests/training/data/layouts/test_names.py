import re
from pathlib import Path

import pytest

from onegauge.training.data.layouts.names import (
    Role,
    role_of_file,
    role_of_folder,
    surely_defective,
    unmasked,
)

DEFECTIVE = (
    "NG",
    "ng",
    "NG_images",
    "ngimages",
    "NG02",
    "02_defect",
    "not-good",
    "NotGood",
    "not_ok",
    "n.i.O.",
    "niO",
    "NOK-Teile",
    "Schlechtteile",
    "Ausschuß",
    "défauts",
    "rejected",
    "NG 2026-11-03",
    "NG_mould",
    "broken_large",
    "defect_no_5",
    "non conforming",
    "不良",
    "不良品",
    "不合格",
    "ＮＧ",
    "NG品",
    "불량",
    "ok_and_ng",
    "OK NG",
    "invalid",
    "not intact",
)
NORMAL = (
    "good",
    "OK",
    "Ok_images",
    "OK-Teile",
    "OKTeile",
    "i.O.",
    "o.k.",
    "Gutteile",
    "03_passed",
    "ok (1)",
    "OK - Copy",
    "defect-free",
    "no_defects",
    "ohne Fehler",
    "fehlerfrei",
    "良品",
    "合格",
    "clean",
    "undamaged",
)


@pytest.mark.parametrize("name", DEFECTIVE)
def test_a_name_for_defects_is_known(name):
    assert role_of_folder(name) == role_of_file(name) == Role.DEFECTIVE


@pytest.mark.parametrize("name", NORMAL)
def test_a_name_for_normal_images_is_known(name):
    assert role_of_folder(name) == role_of_file(name) == Role.NORMAL


@pytest.mark.parametrize(
    "name",
    [
        "goodyear",
        "badge",
        "testament",
        "nougat",
        "okra",
        "passport",
        "maskara",
        "gtx",
        "ngk",
        "bottle",
        "monday",
        "2026-11-03",
        "line-4",
        "io_module",
        "no_1",
        "Straße",
        "3bad9f27",
        "550e8400-bad1-41d4-a716-446655440000",
    ],
)
def test_a_word_is_not_found_within_another(name):
    assert role_of_folder(name) == role_of_file(name) == Role.NOTHING


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Test", Role.TEST),
        ("test_private_mixed", Role.TEST),
        ("TestImages", Role.TEST),
        ("测试", Role.TEST),
        ("Train", Role.TRAIN),
        ("Validation", Role.TRAIN),
        ("Ground_Truth", Role.MASK),
        ("GroundTruth", Role.MASK),
        ("gt", Role.MASK),
        ("annotations", Role.MASK),
        ("test_good", Role.TEST | Role.NORMAL),
        ("train_bad", Role.TRAIN | Role.DEFECTIVE),
    ],
)
def test_splits_and_masks_are_told_by_folders_only(name, role):
    assert role_of_folder(name) == role
    assert not role_of_file(name) & (Role.TEST | Role.TRAIN | Role.MASK)


@pytest.mark.parametrize(
    "name",
    ["crack", "deep scratch", "Kratzer_2", "test_socket", "label gun", "good_crack", "dirty"],
)
def test_what_may_be_a_product_as_well_is_doubtful(name):
    assert role_of_folder(name) == Role.DOUBTFUL


@pytest.mark.parametrize(
    ("stem", "image"),
    [
        ("000_mask", "000"),
        ("000_GT", "000"),
        ("mask-000", "000"),
        ("a b.seg", "a b"),
        ("mask", None),
        ("label_01", None),
        ("damask_01", None),
    ],
)
def test_a_mask_is_known_by_the_end_of_its_name(stem, image):
    assert unmasked(stem) == image


@pytest.mark.parametrize("name", ["7_ng", "NG1", "a_not_ok", "bad_ng"])
def test_a_part_may_be_called_defective_by_its_file(name):
    assert surely_defective(name)


@pytest.mark.parametrize("name", ["bad_7", "7-broken", "error", "7_ok"])
def test_a_file_that_is_called_bad_may_be_a_torn_one(name):
    assert not surely_defective(name)


@pytest.mark.parametrize(
    ("meaning", "role"),
    [
        ("normal", Role.NORMAL),
        ("defective", Role.DEFECTIVE),
        ("tests", Role.TEST),
        ("masks", Role.MASK),
        ("training", Role.TRAIN),
    ],
)
def test_the_documented_words_mean_what_is_said_of_them(meaning, role):
    page = (Path(__file__).parents[4] / "docs" / "training.md").read_text()
    (row,) = re.findall(rf"^\| {meaning} \| (.+?) \|", page, re.MULTILINE)
    words = re.split("[,;] ", re.sub(r" \(.*?\)|;[^;]*:.*", "", row))
    assert len(words) > 5
    assert {word for word in words if role_of_folder(word) != role} == set()
