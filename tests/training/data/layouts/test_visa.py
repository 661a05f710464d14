from pathlib import Path

import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError

COLUMNS = "object,split,label,image,mask"


def listing(root: Path, *rows: str, columns: str = COLUMNS) -> None:
    (root / "split_csv").mkdir(parents=True)
    (root / "split_csv" / "1cls.csv").write_text("\n".join([columns, *rows, ""]))


@pytest.fixture
def visa(tmp_path, draw, mark) -> Path:
    """Two products, listed in no order."""
    draw("candle/Data/Images/Normal/0001.JPG", "candle/Data/Images/Normal/0000.JPG")
    draw("candle/Data/Images/Anomaly/000.JPG", "pcb1/Data/Images/Normal/0000.JPG")
    mark("candle/Data/Masks/Anomaly/000.png", value=3)
    draw("pcb1/Data/Images/Anomaly/000.JPG", "pcb1/Data/Images/Normal/0001.JPG")
    listing(
        tmp_path,
        "pcb1,train,anomaly,pcb1/Data/Images/Anomaly/000.JPG,",  # of a two-class split
        "pcb1,train,normal,pcb1/Data/Images/Normal/0001.JPG,",
        "candle,train,normal,candle/Data/Images/Normal/0001.JPG,",
        "candle,test,normal,candle/Data/Images/Normal/0000.JPG,",
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png",
        "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
    )
    return tmp_path


def test_the_split_is_that_of_the_file(visa):
    trained = dataset.training_images(visa)
    assert [str(path.relative_to(visa)) for path in trained] == [
        "candle/Data/Images/Normal/0001.JPG",
        "pcb1/Data/Images/Normal/0000.JPG",
        "pcb1/Data/Images/Normal/0001.JPG",
    ]
    assert [*map(recognise(visa).product_of, trained)] == ["candle", "pcb1", "pcb1"]
    found = dataset.test_images(visa)
    mask = visa / "candle" / "Data" / "Masks" / "Anomaly" / "000.png"
    assert [(i.path.name, i.product, i.anomalous, i.defect, i.mask) for i in found] == [
        ("000.JPG", "candle", True, "anomaly", mask),
        ("0000.JPG", "candle", False, "good", None),
    ]


def test_a_mask_that_numbers_its_defects_marks_them_all(visa):
    anomaly, _ = dataset.test_images(visa)
    assert dataset.mask_of(anomaly, 2).tolist() == [[True, False]] * 2


def test_a_folder_around_the_data_set_makes_no_difference(visa, tmp_path_factory):
    around = tmp_path_factory.mktemp("around")
    visa.rename(around / "VisA_20220922")
    trained = dataset.training_images(around)
    assert [*map(recognise(around).product_of, trained)] == ["candle", "pcb1", "pcb1"]


def test_the_rearranged_tree_is_read_by_its_folders(tmp_path, draw, mark):
    trained = draw("1cls/candle/train/good/0001.JPG")
    draw("1cls/candle/test/bad/000.JPG", "1cls/candle/test/good/0000.JPG")
    mask = mark("1cls/candle/ground_truth/bad/000.png")
    assert dataset.training_images(tmp_path) == trained
    bad, good = dataset.test_images(tmp_path)
    assert (bad.product, bad.defect, bad.mask, good.mask) == ("1cls/candle", "bad", mask, None)


def test_a_listing_without_a_column_is_refused(tmp_path):
    listing(tmp_path, "candle,train,a.JPG,", columns="object,split,image,mask")
    with pytest.raises(DataError, match=r"1cls\.csv lacks the column label"):
        dataset.training_images(tmp_path)


@pytest.mark.parametrize("gone", ["Images/Normal/0000.JPG", "Masks/Anomaly/000.png"])
def test_a_listed_file_that_is_not_there_is_named(visa, gone):
    (visa / "candle" / "Data" / gone).unlink()
    with pytest.raises(DataError, match=f"{gone} does not exist"):
        dataset.test_images(visa)


def test_two_copies_are_refused(visa):
    listing(visa / "old")
    with pytest.raises(DataError, match="VisA more than once"):
        dataset.training_images(visa)
