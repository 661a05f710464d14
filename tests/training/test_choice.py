from pathlib import Path

import pytest

from onegauge.training.choice import Choice
from onegauge.training.errors import DataError


@pytest.mark.parametrize(
    ("glob", "file"),
    [
        ("NG", "NG/day1/a.png"),
        ("NG/", "line4/NG/a.png"),
        ("NG/*", "NG/day1/a.png"),
        ("NG/**", "NG/a.png"),
        ("/NG", "NG/a.png"),
        ("./NG/a.png", "NG/a.png"),
        ("**/NG", "NG/a.png"),
        ("line?/N[GH]", "line4/NG/day1/a.png"),
        ("line4/**/NG", "line4/a/b/NG/c.png"),
        ("*_old.png", "day1/a_old.png"),
        ("caf\u00e9", "cafe\u0301/a.png"),
        ("/.", "day1/a.png"),
    ],
)
def test_a_glob_has_the_path_it_names_and_all_below(glob, file):
    assert Choice(include=(glob,)).includes(Path(file))
    assert Choice(exclude=(glob,)).excludes(Path(file))


@pytest.mark.parametrize(
    ("glob", "file"),
    [
        ("NG", "NG2/a.png"),
        ("ng", "NG/a.png"),
        ("/NG", "line4/NG/a.png"),
        ("line4/NG", "a/line4/NG/a.png"),
        ("line4/*.png", "line4/day1/a.png"),
        ("/*.png", "day1/a.png"),
        ("", "a.png"),
        (".", "a.png"),
    ],
)
def test_a_glob_has_nothing_else(glob, file):
    assert not Choice(include=(glob,)).includes(Path(file))


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_glob_that_matches_no_image_is_named(option):
    choice = Choice(**{option: ("good", "misspelt")})
    with pytest.raises(DataError, match=f"--{option} 'misspelt' matches no image in parts"):
        choice.require_use([Path("good/a.png")], Path("parts"))
