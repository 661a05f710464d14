"""Pictures are laid out as `onegauge add` reads them."""

import re

import pytest
from PIL import Image

from onegauge.records.lessons import Lesson
from onegauge.service.teaching.material import GROUP_BY, lay_out
from onegauge.training.choice import Choice
from onegauge.training.data.dataset import training_selection
from rig.pictures import encode
from tests.records.made import record


@pytest.fixture
def lesson(pictures, normal):
    def made(number, data=normal, product=None, **fields):
        kept = record(number, picture=pictures.put(data), media_type="image/png", **fields)
        return Lesson(kept, "normal", product)

    return made


def test_pictures_lie_as_they_were_sent_each_once(lesson, pictures, tmp_path, normal, defective):
    lessons = [lesson(0), lesson(1), lesson(2, defective)]
    assert lay_out(lessons, pictures, tmp_path / "out") == 2
    files = [file.read_bytes() for file in (tmp_path / "out").rglob("*.png")]
    assert sorted(files) == sorted([normal, defective])


def test_what_was_removed_meanwhile_is_left_out(lesson, pictures, tmp_path, defective):
    lessons = [lesson(0), lesson(1, defective)]
    pictures.remove(lessons[1].record.picture)
    assert lay_out(lessons, pictures, tmp_path / "out") == 1


@pytest.mark.parametrize("product", ["test", "defect/bad", "../../etc", "..", "Größe 3", ""])
def test_no_name_of_a_product_leads_elsewhere_or_is_taken_for_a_defect(
    lesson, pictures, tmp_path, product
):
    out = tmp_path / "out"
    lay_out([lesson(0, product=product)], pictures, out)
    (file,) = training_selection(out, Choice(include=("*",))).images()
    assert file.parent.parent == out


def test_pictures_of_one_part_are_told_apart_from_those_of_others(lesson, pictures, tmp_path):
    grey = [encode(Image.new("RGB", (8, 8), (level,) * 3)) for level in (10, 20, 30, 40)]
    parts = ["4711", "4711", "4712", None]
    lessons = [lesson(n, grey[n], part=part) for n, part in enumerate(parts)]
    lay_out(lessons, pictures, tmp_path / "out")
    told = {}
    for file in (tmp_path / "out").rglob("*.png"):
        name = str(file.relative_to(tmp_path / "out"))
        told[grey.index(file.read_bytes())] = re.search(GROUP_BY, name).group(1)
    assert told[0] == told[1]
    assert len(set(told.values())) == 3
