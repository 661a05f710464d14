from pathlib import Path

import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError


def labels(folder: Path, *rows: str) -> None:
    """As it is published: a byte order mark, a number, then rows of five columns."""
    (folder / "Label").mkdir(parents=True, exist_ok=True)
    text = "\r\n".join(["1", *("\t".join(row.split()) for row in rows), ""])
    (folder / "Label" / "Labels.txt").write_text(text, encoding="utf-8-sig")


def test_dagm_is_read_as_it_is_published(tmp_path, draw, mark):
    normal, _ = draw("Class1/Train/0576.PNG", "Class1/Train/0577.PNG")
    draw("Class1/Test/0001.PNG", "Class1/Test/0002.PNG")
    mark("Class1/Train/Label/0577_label.PNG")
    mask = mark("Class1/Test/Label/0002_label.PNG")
    labels(
        tmp_path / "Class1" / "Train",
        "0576 0 0576.PNG 0 0",
        "0577 1 0577.PNG 0 0577_label.PNG",
    )
    labels(
        tmp_path / "Class1" / "Test",
        "0002 1 0002.PNG 0 0002_label.PNG",
        "0001 0 0001.PNG 0 0",
    )
    assert dataset.training_images(tmp_path) == [normal]
    assert [*map(recognise(tmp_path).product_of, [normal])] == ["Class1"]
    found = dataset.test_images(tmp_path)
    assert [(i.path.name, i.product, i.defect, i.mask) for i in found] == [
        ("0001.PNG", "Class1", "good", None),
        ("0002.PNG", "Class1", "defect", mask),
    ]


def test_the_first_line_may_be_an_image_as_well(tmp_path, draw):
    (normal,) = draw("Class1/Train/0576.PNG")
    (tmp_path / "Class1" / "Train" / "Label").mkdir()
    (tmp_path / "Class1" / "Train" / "Label" / "Labels.txt").write_text("0576\t0\t0576.PNG\t0\t0\n")
    assert dataset.training_images(tmp_path) == [normal]


def test_one_class_may_be_the_root(tmp_path, draw):
    trained, tested = draw("Train/0576.PNG", "Test/0001.PNG")
    labels(tmp_path / "Train", "0576 0 0576.PNG 0 0")
    labels(tmp_path / "Test", "0001 0 0001.PNG 0 0")
    assert [*map(recognise(tmp_path).product_of, [trained, tested])] == [tmp_path.name] * 2


def test_a_line_of_another_kind_is_shown(tmp_path):
    labels(tmp_path / "Class1" / "Train", "0576 good 0576.PNG 0 0")
    with pytest.raises(DataError, match="good.*expected number, 0 or 1"):
        dataset.training_images(tmp_path)


@pytest.mark.parametrize("gone", ["0577.PNG", "Label/0577_label.PNG"])
def test_a_listed_file_that_is_not_there_is_named(tmp_path, draw, mark, gone):
    draw("Class1/Test/0577.PNG")
    mark("Class1/Test/Label/0577_label.PNG")
    labels(tmp_path / "Class1" / "Test", "0577 1 0577.PNG 0 0577_label.PNG")
    (tmp_path / "Class1" / "Test" / gone).unlink()
    with pytest.raises(DataError, match=f"{gone} does not exist, though .*Labels"):
        dataset.test_images(tmp_path)
