import os
from pathlib import Path

import pytest

from onegauge.training.choice import Choice
from onegauge.training.data.dataset import labelled_selection, training_selection
from onegauge.training.data.selection import Selection
from onegauge.training.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def selected(root: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()):
    return training_selection(root, Choice(include, exclude))


def rows(selection: Selection) -> list[str]:
    """The rows of the table, one space between words."""
    return [" ".join(row.split()) for row in selection.table().splitlines()]


def test_the_table_tells_every_file_once_with_the_reason(tmp_path):
    touch(tmp_path, "good/1.png", "good/2.jfif", "good/day2/3.jpe", "NG/a/4.png", "NG/b/5.png")
    touch(tmp_path, "Test/good/day1/6.png", "masks/7.png", "8.PGM", "notes.txt", "._1.png", "bare")
    (tmp_path / "good" / "gone.png").symlink_to("nothing.png")
    assert rows(selected(tmp_path)) == [
        f"{tmp_path}: 3 of 12 files are taken",
        "taken 3 for training: good (2), good/day2 (1)",
        "left out 1 .pgm, which is not read: . (1)",
        "left out 1 .txt, which is not read: . (1)",
        "left out 1 for tests: Test (1)",
        "left out 1 hidden, or of the system: . (1)",
        "left out 1 links that lead nowhere, or pipes: good (1)",
        "left out 1 masks: masks (1)",
        "left out 1 no suffix, which is not read: . (1)",
        "left out 2 the name means defects: NG (2)",
    ]


def test_names_that_are_no_text_are_shown_all_the_same(tmp_path, capsys):
    touch(tmp_path, os.fsdecode(b"caf\xe9/1.png"), "\u4e0d\u826f/2.png")
    assert len(selected(tmp_path).show()) == 1
    assert "caf\\udce9 (1)" in capsys.readouterr().out


def test_the_table_of_many_folders_stays_short(tmp_path):
    touch(tmp_path, *(f"day{i:02}/1.png" for i in range(30)))
    (_, row) = rows(selected(tmp_path))
    assert row.startswith("taken 30 for training: day00 (1), day01 (1), ")
    assert row.endswith("day07 (1) and 22 more")


def test_a_choice_goes_against_names_and_to_leave_out_wins(tmp_path):
    touch(tmp_path, "good/1.png", "scratch/2.png", "NG/3.png", "NG/4.png", "test/5.png")
    include = ("scratch", "NG", "test")
    selection = selected(tmp_path, include=include, exclude=("NG/4.png", "good"))
    assert selection.images() == [tmp_path / n for n in ("NG/3.png", "scratch/2.png", "test/5.png")]
    assert "left out 2 --exclude: NG (1), good (1)" in rows(selection)


def test_hidden_and_unread_files_are_not_included(tmp_path):
    touch(tmp_path, "1.png", "._1.png", "2.pgm")
    assert selected(tmp_path, include=("/.",)).images() == [tmp_path / "1.png"]
    with pytest.raises(DataError, match=r"--include '\*\.pgm' matches no image"):
        selected(tmp_path, include=("*.pgm",))


def test_what_is_undecided_stops_with_the_folders_and_the_options(tmp_path):
    touch(tmp_path, "train/good/1.png", "train/x[1]/2.png", "train/x[1]/3.png", "train/odd/4.png")
    with pytest.raises(DataError) as told:
        selected(tmp_path).images()
    for said in (
        "3 images",
        "train/odd (beside train/good)",
        "--include '/train/odd'",
        "--exclude",
    ):
        assert said in str(told.value)
    decided = selected(tmp_path, include=("/train/odd",), exclude=("/train/x[[]1]",))
    assert len(decided.images()) == 2


def test_the_advice_for_loose_images_is_about_them_alone(tmp_path):
    touch(tmp_path, "good/1.png", "2.png", "NG/3.png")
    with pytest.raises(DataError, match=r"--include '/\*\.png'"):
        selected(tmp_path).images()
    found = selected(tmp_path, include=("/*.png",)).images()
    assert found == [tmp_path / "2.png", tmp_path / "good" / "1.png"]


def test_a_root_of_nothing_but_defects_is_named_with_the_option(tmp_path):
    touch(tmp_path, "NG/1.png")
    with pytest.raises(DataError, match=r"NG \(the name means defects\); --include '/NG'"):
        selected(tmp_path).images()
    assert selected(tmp_path, include=("/NG",)).images() == [tmp_path / "NG" / "1.png"]


def test_nothing_is_advised_against_the_users_own_choice(tmp_path):
    touch(tmp_path, "good/1.png")
    with pytest.raises(DataError, match=r"good \(--exclude\)$"):
        selected(tmp_path, exclude=("good",)).images()


@pytest.mark.parametrize(("names", "told"), [((), "no files"), (("a.gif",), "gif, which is not")])
def test_a_root_without_images_tells_what_it_has_instead(tmp_path, names, told):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=rf"no images in {tmp_path}: expected .*\.png.*{told}"):
        selected(tmp_path).images()


def test_names_above_the_root_say_nothing(tmp_path):
    root = tmp_path / "test" / "NG"
    touch(root, "1.png")
    assert selected(root).images() == [root / "1.png"]


def test_linked_folders_are_trained_on(tmp_path):
    touch(tmp_path / "share", "a/1.png", "b/2.png")
    touch(tmp_path / "root", "bottle/test/good/3.png")
    (tmp_path / "root" / "bottle" / "train").mkdir()
    (tmp_path / "root" / "bottle" / "train" / "good").symlink_to(tmp_path / "share")
    assert len(selected(tmp_path / "root").images()) == 2


def test_a_data_set_that_lists_its_images_can_be_chosen_from(tmp_path):
    touch(tmp_path, "candle/1.JPG", "candle/2.JPG", "pcb/3.JPG", "candle/4.JPG")
    (tmp_path / "split_csv").mkdir()
    lines = ["object,split,label,image,mask", "candle,train,normal,candle/1.JPG,"]
    lines += ["candle,train,normal,candle/2.JPG,", "candle,test,anomaly,pcb/3.JPG,"]
    (tmp_path / "split_csv" / "1cls.csv").write_text("\n".join(lines))
    selection = selected(tmp_path, include=("pcb",), exclude=("2.JPG",))
    assert selection.taken == [Path("candle/1.JPG"), Path("pcb/3.JPG")]
    assert "left out 1 no training image of VisA: candle (1)" in rows(selection)


def test_test_images_are_told_by_kind_and_what_has_no_label_is_too(tmp_path):
    touch(tmp_path, "Test/Good/day1/1.png", "Test/rust/2.png", "Test/3.png", "train/4.png")
    touch(tmp_path, "Ground_Truth/rust/2.png")
    selection, images = labelled_selection(tmp_path, Choice())
    assert [(i.path.name, i.anomalous, bool(i.mask)) for i in images] == [
        ("1.png", False, False),
        ("2.png", True, True),
    ]
    assert rows(selection)[1:] == [
        "taken 1 anomalous: Test/rust (1)",
        "taken 1 normal: Test/Good/day1 (1)",
        "left out 1 in no folder of tests: train (1)",
        "left out 1 masks: Ground_Truth (1)",
        "left out 1 no folder tells whether they are normal: Test (1)",
    ]


def test_labelled_folders_outside_of_tests_are_evaluated_on_when_included(tmp_path):
    touch(tmp_path, "OK/1.png", "scratch/2.png", "NG/3.png")
    _, images = labelled_selection(tmp_path, Choice(include=("/.",), exclude=("NG",)))
    assert [(i.defect, i.product) for i in images] == [
        ("good", tmp_path.name),
        ("scratch", tmp_path.name),
    ]


def test_a_product_that_is_called_as_masks_are_can_be_evaluated_on(tmp_path):
    touch(tmp_path, "mask/test/good/1.png", "mask/test/NG/2.png", "nut/test/good/3.png")
    assert len(labelled_selection(tmp_path, Choice())[1]) == 1
    _, images = labelled_selection(tmp_path, Choice(include=("mask",)))
    assert [(i.product, i.defect) for i in images] == [
        ("mask", "NG"),
        ("mask", "good"),
        ("nut", "good"),
    ]


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["images/1.png", "annotations/1.png"], "--include '/images' takes them"),
        (["1.png", "1_mask.png"], "--include takes those that a glob names"),
        (["test/1.png", "imgs/1.png", "gt/1.png"], "--include takes those that a glob names"),
    ],
)
def test_nobody_is_told_to_train_on_masks(tmp_path, files, advice):
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=f"{advice}"):
        selected(tmp_path).images()
